// Squared error and its gradient.
#include "ops/mseLoss.h"

#include "cpu/elementLoss.h"

namespace secateur::SECATEUR_ISA {

KERNEL(mseLoss, F32 | BF16)(const MseLossArgs& s) {
  using Reduction = MseLossArgs::Reduction;
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    const T* target = s.target.as<T>();
    elementLoss(
        s.x.size(), s.reduction == Reduction::none, s.reduction == Reduction::mean,
        s.loss.as<float>(), [=](std::int64_t i) __attribute__((always_inline)) {
          const float d = toFloat(x[i]) - toFloat(target[i]);
          return d * d;
        });
  });
}

KERNEL(mseLossGrad, F32 | BF16)(const MseLossGradArgs& s) {
  using Reduction = MseLossGradArgs::Reduction;
  const std::int64_t n = s.x.size();
  const float* g = s.g.as<float>();
  const bool each = s.reduction == Reduction::none;
  const float scale = s.reduction == Reduction::mean ? 2.0f / static_cast<float>(n) : 2.0f;
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    const T* target = s.target.as<T>();
    T* dx = s.dx.as<T>();
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        store(dx[i], g[each ? i : 0] * scale * (toFloat(x[i]) - toFloat(target[i])));
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
