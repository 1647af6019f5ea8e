// The PDP soft mask times its weight, and the gradient.
#include "ops/pdpWeight.h"

#include "cpu/parallel.h"
#include "cpu/pdpMask.h"

namespace secateur::SECATEUR_ISA {

KERNEL(pdpWeight, F32)(const PdpWeightArgs& a) {
  const float t = a.levels.as<float>()[3 * a.layer + 2];
  const std::int64_t k = a.counts.as<std::int32_t>()[2 * a.layer];
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    pdpMask(a.w.as<float>(), a.y.as<T>(), a.w.size(), k, t, static_cast<float>(a.tau));
  });
}

KERNEL(pdpWeightGrad, F32 | BF16)(const PdpWeightGradArgs& a) {
  const float* row = a.levels.as<float>() + 3 * a.layer;
  const std::int64_t k = a.counts.as<std::int32_t>()[2 * a.layer];
  const std::int64_t n = a.w.size();
  const auto tau = static_cast<float>(a.tau);
  withFloat(a.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    pdpMaskGrad(a.w.as<float>(), a.g.as<T>(), a.dw.as<float>(), n, k, row[2], tau);
    if (!a.throughThreshold || k == 0) return;
    auto* partial = scratch<double>((n + kChunk - 1) / kChunk);
    pdpThresholdGrad(a.w.as<float>(), a.g.as<T>(), a.dw.as<float>(), n, row[0], row[1], row[2], tau, partial);
  });
}

}  // namespace secateur::SECATEUR_ISA
