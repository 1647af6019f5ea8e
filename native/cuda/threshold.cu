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
    bool finished = false;
    if (round == 0) {
      ThresholdPlan plan;
      beginScan(plan, layer, p.out.state == nullptr ? nullptr : p.out.state + l);
      scanChunk(s, layer, plan, &work->found, chunk - layer.firstChunk);
      finished = endRound(s, layer, l, p.out, plan, work, 0);
    } else {
      finished = laterRound(s, layer, l, p.out, work, chunk - layer.firstChunk, round);
    }
    if (finished && threadIdx.x == 0) atomicAdd(p.finished, 1u);
  }
}

}  // namespace secateur::cuda
