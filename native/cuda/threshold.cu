// The magnitudes between which each weight is cut, all layers in one launch: exact selection, by the pieces of
// gpu/threshold.cuh.
//
// Blocks take tickets, which run through the chunks of all layers, once for every round of the ladder. The block that
// finishes the last chunk of a layer's round decides: it selects among the candidates, or sets up the layer's next
// round and publishes it. A ticket of a later round waits for that decision, whose makers all hold lower tickets. As a
// rule the first round finishes every layer, and the launch ends with it.
//
// Bytes an element: 4 to read it once; about 1 % of the keys are collected (written once, read three to four times by
// the selecting block, all within the L2): 0.04 + 0.04 of memory traffic. 4.08 together; 4 is the floor.
#include "threshold.h"

#include "gpu/rows.cuh"
#include "gpu/threshold.cuh"
#include "gpu/ticket.cuh"

namespace secateur::cuda {

constexpr unsigned noRound = 0xffffffffu;

// Sets up the next round of a layer, or ends it.
SECATEUR_GPU void publishPlan(const ThresholdParams& p, ThresholdWork* work, const ThresholdPlan& plan,
                              unsigned round) {
  const bool finished = plan.scan == Scan::finished;
  if (threadIdx.x == 0) {
    work->plan = plan;
    work->found = {};
    work->arrived = 0;
  }
  publish(&work->round, finished ? noRound : round + 1);
  if (finished && threadIdx.x == 0) atomicAdd(p.finished, 1u);
}

// The next piece of work of this block, and whether there is one.
SECATEUR_GPU bool nextTicket(const ThresholdParams& p, ThresholdShared& s, unsigned& ticket) {
  const unsigned end = p.chunks * thresholdRounds;
  if (threadIdx.x == 0) {
    s.ticket = atomicAdd(p.tickets, 1u);
    const bool again = s.ticket >= p.chunks;
    if (again && *static_cast<volatile unsigned*>(p.finished) == p.count) s.ticket = end;
  }
  __syncthreads();
  ticket = s.ticket;
  return ticket < end;
}

extern "C" __global__ void __launch_bounds__(chunkThreads, 4) threshold(const __grid_constant__ ThresholdParams p) {
  __shared__ ThresholdShared s;
  for (unsigned ticket; nextTicket(p, s, ticket);) {
    const unsigned round = ticket / p.chunks;
    const std::int64_t chunk = ticket % p.chunks;
    const int l = rowOf(p.layers, p.count, chunk, &s.row);
    const ThresholdLayer layer = p.layers[l];
    ThresholdWork* work = p.work + l;
    ThresholdPlan plan;
    if (round == 0) {
      beginScan(plan, layer, p.out.state == nullptr ? nullptr : p.out.state + l);
    } else {
      waitFor(&work->round, round);
      plan = work->plan;
      if (plan.scan == Scan::finished) continue;
    }
    scanChunk(s, layer, plan, &work->found, chunk - layer.firstChunk);
    if (!arriveLast(&work->arrived, layer.chunks, &s.last)) continue;
    const ThresholdFound found = work->found;
    __syncthreads();
    decide(s, layer, l, p.out, plan, found);
    publishPlan(p, work, plan, round);
  }
}

}  // namespace secateur::cuda
