// The log-probability of each row's class, and the gradient, which is zero elsewhere.
#include "ops/nllLoss.h"

#include "cpu/classTargets.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(nllLoss, F32 | BF16)(const NllLossArgs& s) {
  using Reduction = NllLossArgs::Reduction;
  const std::int64_t n = s.x.back(1), rows = s.target.size();
  checkTargets(s.target, n, s.ignoreIndex);
  const auto* target = s.target.as<std::int32_t>();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  float* each = s.reduction == Reduction::none ? s.loss.as<float>() : nullptr;
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    double total = 0, count = 0;
    for (std::int64_t r = 0; r < rows; r++) {
      const bool scored = target[r] != s.ignoreIndex;
      const float w = !scored ? 0.0f : weight != nullptr ? weight[target[r]] : 1.0f;
      const float value = scored ? -w * toFloat(x[r * n + target[r]]) : 0.0f;
      if (each != nullptr) each[r] = value;
      total += static_cast<double>(value);
      count += static_cast<double>(w);
    }
    if (s.reduction == Reduction::none) return;
    const bool mean = s.reduction == Reduction::mean;
    *s.loss.as<float>() = static_cast<float>(mean ? total / count : total);
    if (mean) *s.divisor.as<float>() = static_cast<float>(count);
  });
}

KERNEL(nllLossGrad, F32 | BF16)(const NllLossGradArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.target.size();
  checkTargets(s.target, n, s.ignoreIndex);
  const auto* target = s.target.as<std::int32_t>();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  const float* g = s.g.as<float>();
  const bool perRow = s.reduction == NllLossGradArgs::Reduction::none;
  const float divisor = s.divisor.present ? *s.divisor.as<float>() : 1.0f;
  const std::int64_t ignore = s.ignoreIndex;
  withFloat(s.dx.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* dx = s.dx.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * n; i < end * n; i++) store(dx[i], 0.0f);
      for (std::int64_t r = begin; r < end; r++) {
        if (target[r] == ignore) continue;
        const float w = weight != nullptr ? weight[target[r]] : 1.0f;
        store(dx[r * n + target[r]], -w * (g[perRow ? r : 0] / divisor));
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
