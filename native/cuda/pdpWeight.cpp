#include "pdpWeight.h"

#include "gpu/rows.h"
#include "host/launch.h"
#include "host/pdp.h"
#include "ops/pdpWeight.h"

CUDA_IMAGE(pdpWeight)

namespace secateur::cuda {

KERNEL(pdpWeight, F32)(const PdpWeightArgs& a) {
  static Kernels forward(images::pdpWeight, "pdpWeight");
  const std::int64_t n = a.w.size();
  const PdpRow row{a.levels.as<float>(), a.counts.as<std::int32_t>(), liveWhole(a.layer)};
  launch(forward[a.y.dtype], elementBlocks(n), 256,
         PdpWeightParams{a.w.as<float>(), a.y.data, n, row, temperature(a.tau)});
}

KERNEL(pdpWeightGrad, F32 | BF16)(const PdpWeightGradArgs& a) {
  static Kernels backward(images::pdpWeight, "pdpWeightGrad");
  static Kernels terms(images::pdpWeight, "pdpThresholdTerms");
  static Kernel spread(images::pdpWeight, "pdpThresholdSpread");
  const std::int64_t n = a.w.size();
  const PdpRow row{a.levels.as<float>(), a.counts.as<std::int32_t>(), liveWhole(a.layer)};
  const PdpTemperature tau = temperature(a.tau);
  auto* dw = a.dw.as<float>();
  launch(backward[a.g.dtype], elementBlocks(n), 256, PdpWeightGradParams{a.w.as<float>(), a.g.data, dw, n, row, tau});
  if (!a.throughThreshold) return;
  const std::int64_t chunks = chunksOf(n);
  PdpThresholdGradParams p{a.w.as<float>(),      a.g.data, dw, n, row, tau, scratch<float>(chunks),
                           scratch<unsigned>(2), chunks};
  fillZero(p.holders, 2 * sizeof(unsigned));
  launch(terms[a.g.dtype], chunks, chunkThreads, p);
  launch(spread, 1, chunkThreads, p);
}

}  // namespace secateur::cuda
