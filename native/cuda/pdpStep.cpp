#include "pdpStep.h"

#include <algorithm>
#include <vector>

#include "host/optimizer.h"
#include "host/pdp.h"
#include "host/threshold.h"
#include "ops/pdpStep.h"

CUDA_IMAGE(pdpStep)

namespace secateur::cuda {

namespace {

// The order of work: every layer is updated, and masked when about `lag` more chunks have been handed out. By then its
// threshold is known, as a rule, so that nobody waits.
std::vector<PdpStepRun> runsOf(const std::vector<ThresholdLayer>& layers, std::int64_t lag) {
  std::vector<PdpStepRun> runs;
  std::int64_t tickets = 0;
  std::size_t masked = 0;
  const auto add = [&](std::size_t l, bool masks) {
    runs.push_back({tickets, static_cast<int>(l), masks});
    tickets += layers[l].chunks;
  };
  for (std::size_t l = 0; l < layers.size(); l++) {
    add(l, false);
    const std::int64_t updated = layers[l].firstChunk + layers[l].chunks;
    while (masked < l && layers[masked].firstChunk + layers[masked].chunks + lag <= updated) add(masked++, true);
  }
  while (masked < layers.size()) add(masked++, true);
  return runs;
}

template <class Args, class Numbers>
void step(Kernel& kernel, const Args& a, OptimizerRows& rows, const Numbers& numbers) {
  const std::size_t count = a.w.size();
  if (count == 0) return;
  const std::vector<ThresholdLayer> select = thresholdLayers(a.w, a.k);
  std::vector<PdpStepLayer> layers(count);
  for (std::size_t l = 0; l < count; l++) layers[l] = {rows[l], select[l], a.y[l].data, select[l].firstChunk};
  const std::int64_t resident = std::int64_t{2} * multiprocessors();
  const std::vector<PdpStepRun> runs = runsOf(select, resident);
  const ThresholdMemory memory(count);
  PdpStepParams<Numbers> p{};
  p.layers = table(layers.data(), count);
  p.runs = table(runs.data(), runs.size());
  p.count = static_cast<int>(count);
  p.runCount = static_cast<int>(runs.size());
  p.chunks = chunksOf(select);
  p.tickets = memory.tickets;
  p.settled = memory.finished;
  p.work = memory.work;
  p.out = {a.state.present ? a.state.template as<ThresholdBracket>() : nullptr, a.levels.template as<float>(),
           a.counts.template as<std::int32_t>()};
  p.tau = temperature(a.tau);
  if (a.norm.present) p.clip = {a.norm.template as<float>(), live(a.maxNorm)};
  p.numbers = numbers;
  launch(kernel, std::min<std::int64_t>(p.chunks, resident), chunkThreads, p);
}

}  // namespace

KERNEL(pdpSgdStep, F32 | BF16)(const PdpSgdStepArgs& a) {
  static Kernels plain(images::pdpStep, "pdpSgdPlain");
  static Kernels momentum(images::pdpStep, "pdpSgdMomentum");
  if (a.w.size() == 0) return;
  OptimizerRows rows(a.w, a.g);
  rows.add(a.v);
  step((rows.slots() > 0 ? momentum : plain)[a.g[0].dtype], a, rows, sgdNumbers(a));
}

KERNEL(pdpAdamStep, F32 | BF16)(const PdpAdamStepArgs& a) {
  static Kernels kernels(images::pdpStep, "pdpAdam");
  if (a.w.size() == 0) return;
  OptimizerRows rows(a.w, a.g);
  rows.add(a.m);
  rows.add(a.v);
  const AdamNumbers numbers = adamNumbers(a, rows);
  step(kernels[a.g[0].dtype], a, rows, numbers);
}

}  // namespace secateur::cuda
