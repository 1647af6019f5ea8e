// An optimizer step of weights under PDP's mask in one launch: mask the gradient and clip it, update, select the next
// threshold of every layer exactly, write the next effective weights.
//
// Blocks take tickets, runs of chunks in an order that the host has laid down: a layer's chunks to be updated, and some
// way behind them the same chunks to be masked. An updating block sees the new weights in registers and collects those
// inside the layer's bracket at once; whoever comes last selects the threshold among them (gpu/threshold.cuh). A
// masking block waits for that, whose makers all hold lower tickets, and reads the weights again, from the L2: they
// were written a few hundred chunks before, and everything else passes the L2 by (streamed). A layer whose bracket
// missed is left out there; its further rounds and its mask come after all other tickets.
//
// Bytes an element with gradients and effective weights in bf16: AdamW reads and writes weight, mean and square (24),
// reads the gradient (2) and writes the effective weight (2), 28, and SGD 20; about 0.1 for the keys collected. Four
// more for the second look where a layer is larger than the L2.
#include "pdpStep.h"

#include "gpu/element.cuh"
#include "gpu/optimizer.cuh"
#include "gpu/pdp.cuh"
#include "gpu/threshold.cuh"
#include "gpu/ticket.cuh"

namespace secateur::cuda {

// After the runs: the later rounds of all layers, and masking what they have finished.
template <class Params>
SECATEUR_GPU bool nextTicket(const Params& p, ThresholdShared& s, unsigned& ticket) {
  const unsigned end = p.chunks * (2 + thresholdRounds);
  if (threadIdx.x == 0) {
    s.ticket = atomicAdd(p.tickets, 1u);
    const bool late = s.ticket >= 2 * p.chunks;
    if (late && *static_cast<volatile unsigned*>(p.settled) == p.count) s.ticket = end;
  }
  __syncthreads();
  ticket = s.ticket;
  return ticket < end;
}

// The first scan of a layer, over weights that are being made.
template <class T, class Rule, class Params>
SECATEUR_GPU void updateAndScan(const Params& p, ThresholdShared& s, const PdpStepLayer& layer, int l,
                                std::int64_t chunk) {
  ThresholdPlan plan;
  beginScan(plan, layer.select, p.out.state == nullptr ? nullptr : p.out.state + l);
  // Without a bracket all keys lie below.
  ThresholdPlan scan = plan;
  if (plan.scan != Scan::collect) scan.low = noKey;
  ThresholdWork* work = p.work + l;
  const bool dense = p.out.counts[2 * l] == 0;
  const PdpMask mask(p.out.levels[3 * l + 2], p.tau);
  const float factor = p.clip.factor();
  Collector collector(s, layer.select, &work->found, scan);
  collector.begin();
  updateChunk<T>(
      layer.update, chunk, Rule(p.numbers, layer.update),
      [&](float w, float g) { return __fmul_rn(dense ? g : mask.gradient(w, g), factor); },
      [&](float w) { collector.take(keyOf(w)); });
  collector.end();
  if (endRound(s, layer.select, l, p.out, plan, work, 0) && threadIdx.x == 0) atomicAdd(p.settled, 1u);
}

// y[i] = f(w[i]) for the elements of a chunk.
template <class T, class F>
SECATEUR_GPU void writeEffective(const PdpStepLayer& layer, std::int64_t chunk, F f) {
  constexpr int pack = perPack<T>;
  const std::int64_t begin = chunk * chunkSize;
  const std::int64_t left = layer.select.n - begin;
  const auto length = static_cast<int>(left < chunkSize ? left : chunkSize);
  const float* w = inGlobal(layer.select.w) + begin;
  T* y = inGlobal(static_cast<T*>(layer.y)) + begin;
  int done = 0;
  if (aligned(16, w, y)) {
    done = length / pack * pack;
#pragma unroll 1
    for (int i = threadIdx.x * pack; i < done; i += chunkThreads * pack) {
      const auto weights = loadPack<float, pack>(w + i);
      Pack<T, pack> out;
#pragma unroll
      for (int j = 0; j < pack; j++) out.at[j] = fromFloat<T>(f(weights.at[j]));
      storePack(y + i, out);
    }
  }
  for (int i = done + threadIdx.x; i < length; i += chunkThreads) y[i] = fromFloat<T>(f(w[i]));
}

// The effective weights of a chunk whose layer has its threshold.
template <class T, class Params>
SECATEUR_GPU void maskChunk(const Params& p, const PdpStepLayer& layer, int l, std::int64_t chunk) {
  if (p.out.counts[2 * l] == 0) return writeEffective<T>(layer, chunk, [](float w) { return w; });
  const PdpMask mask(p.out.levels[3 * l + 2], p.tau);
  writeEffective<T>(layer, chunk, [&](float w) { return mask.product(w); });
}

template <class T, class Rule>
SECATEUR_GPU void pdpStep(const PdpStepParams<typename Rule::Numbers>& p) {
  __shared__ ThresholdShared s;
  for (unsigned ticket; nextTicket(p, s, ticket);) {
    if (ticket < 2 * p.chunks) {
      const PdpStepRun run = p.runs[rowOf(p.runs, p.runCount, ticket, &s.row)];
      const PdpStepLayer layer = p.layers[run.layer];
      const std::int64_t chunk = ticket - run.firstChunk;
      if (run.masks) {
        waitFor(&p.work[run.layer].round, 1);
        if (p.work[run.layer].missed == 0) maskChunk<T>(p, layer, run.layer, chunk);
      } else {
        updateAndScan<T, Rule>(p, s, layer, run.layer, chunk);
      }
      continue;
    }
    const unsigned round = ticket / p.chunks - 1;
    const std::int64_t all = ticket % p.chunks;
    const int l = rowOf(p.layers, p.count, all, &s.row);
    const PdpStepLayer layer = p.layers[l];
    const std::int64_t chunk = all - layer.firstChunk;
    if (round < thresholdRounds) {
      laterRound(s, layer.select, l, p.out, p.work + l, chunk, round);
    } else {
      waitFor(&p.work[l].round, noRound);
      if (p.work[l].missed != 0) maskChunk<T>(p, layer, l, chunk);
    }
  }
}

// Two blocks keep enough loads of a multiprocessor under way; more would only push the weights out of the L2.
#define PDP_STEP(name, suffix, Rule, T)                                         \
  extern "C" __global__ void __launch_bounds__(chunkThreads, 2)                 \
      name##_##suffix(const __grid_constant__ PdpStepParams<Rule::Numbers> p) { \
    pdpStep<T, Rule>(p);                                                        \
  }
PDP_STEP(pdpSgdPlain, f32, SgdRule<false>, float)
PDP_STEP(pdpSgdPlain, bf16, SgdRule<false>, bf16)
PDP_STEP(pdpSgdMomentum, f32, SgdRule<true>, float)
PDP_STEP(pdpSgdMomentum, bf16, SgdRule<true>, bf16)
PDP_STEP(pdpAdam, f32, AdamRule, float)
PDP_STEP(pdpAdam, bf16, AdamRule, bf16)

}  // namespace secateur::cuda
