// Binary cross-entropy from logits and its gradient.
#include "ops/bceWithLogits.h"

#include "cpu/elementLoss.h"

namespace secateur::SECATEUR_ISA {

// ln(1 + e^-|x|). The logarithm of u = 1 + e is corrected by what rounding u lost, so that a tiny e is not lost:
// ln(1 + e) = ln(u) e / (u - 1).
SECATEUR_INLINE float logSumTail(float x) {
  const float e = vexp(-absOf(x));
  const float u = 1.0f + e;
  return u == 1.0f ? e : vlog(u) * (e / (u - 1.0f));
}

// -ln sigmoid(x) is tail + max(-x, 0) and -ln sigmoid(-x) is tail + max(x, 0): nothing cancels, nothing overflows.
KERNEL(bceWithLogits, F32 | BF16)(const BceWithLogitsArgs& s) {
  using Reduction = BceWithLogitsArgs::Reduction;
  const float* pos = s.posWeight.present ? s.posWeight.as<float>() : nullptr;
  const std::int64_t columns = s.x.rank > 0 ? s.x.back(1) : 1;
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    const T* target = s.target.as<T>();
    const auto loss = [&](const auto& positive) __attribute__((always_inline)) {
      elementLoss(
          s.x.size(), s.reduction == Reduction::none, s.reduction == Reduction::mean,
          s.loss.as<float>(), [=](std::int64_t i) __attribute__((always_inline)) {
            const float z = toFloat(x[i]), t = toFloat(target[i]);
            const float tail = logSumTail(z);
            return positive(i) * t * (tail + (z < 0.0f ? -z : 0.0f)) + (1.0f - t) * (tail + (z > 0.0f ? z : 0.0f));
          });
    };
    if (pos == nullptr) {
      loss([](std::int64_t) __attribute__((always_inline)) { return 1.0f; });
    } else {
      loss([=](std::int64_t i) __attribute__((always_inline)) { return pos[i % columns]; });
    }
  });
}

KERNEL(bceWithLogitsGrad, F32 | BF16)(const BceWithLogitsGradArgs& s) {
  using Reduction = BceWithLogitsGradArgs::Reduction;
  const std::int64_t n = s.x.size();
  const float* pos = s.posWeight.present ? s.posWeight.as<float>() : nullptr;
  const std::int64_t columns = s.x.rank > 0 ? s.x.back(1) : 1;
  const float* g = s.g.as<float>();
  const bool each = s.reduction == Reduction::none;
  const float scale = s.reduction == Reduction::mean ? 1.0f / static_cast<float>(n) : 1.0f;
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    const T* target = s.target.as<T>();
    T* dx = s.dx.as<T>();
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        const float z = toFloat(x[i]), t = toFloat(target[i]);
        const float p = pos != nullptr ? pos[i % columns] : 1.0f;
        store(dx[i], g[each ? i : 0] * scale * ((1.0f - t) * vsigmoid(z) - p * t * vsigmoid(-z)));
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
