// Softmax cross-entropy in one pass over the logits (each row is read from the cache the second time), and its gradient
// in another. Nothing of the size of the logits is kept.
#include "ops/crossEntropy.h"

#include "cpu/classTargets.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(crossEntropy, F32 | BF16)(const CrossEntropyArgs& s) {
  using Reduction = CrossEntropyArgs::Reduction;
  const std::int64_t n = s.x.back(1), rows = s.target.size();
  checkTargets(s.target, n, s.ignoreIndex);
  const auto* target = s.target.as<std::int32_t>();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  float* stats = s.stats.as<float>();
  float* each = s.reduction == Reduction::none ? s.loss.as<float>() : scratch<float>(rows);
  const auto smoothing = static_cast<float>(s.labelSmoothing);
  const std::int64_t ignore = s.ignoreIndex;
  float weights = 0;  // of all classes
  for (std::int64_t k = 0; k < n; k++) weights += weight != nullptr ? weight[k] : 1.0f;

  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* all = s.x.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = all + r * n;
        float largest = -__builtin_inff();
#pragma omp simd reduction(max : largest)
        for (std::int64_t k = 0; k < n; k++) largest = toFloat(x[k]) > largest ? toFloat(x[k]) : largest;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t k = 0; k < n; k++) sum += vexp(toFloat(x[k]) - largest);
        const float logSum = vlog(sum);
        stats[2 * r] = largest;
        stats[2 * r + 1] = logSum;
        if (target[r] == ignore) {
          each[r] = 0;
          continue;
        }
        const float w = weight != nullptr ? weight[target[r]] : 1.0f;
        float value = (1.0f - smoothing) * w * (logSum - (toFloat(x[target[r]]) - largest));
        // Skipped without smoothing: there a logit of -infinity is no loss, and 0 times infinity would be NaN.
        if (smoothing > 0) {
          float shifted = 0;
#pragma omp simd reduction(+ : shifted)
          for (std::int64_t k = 0; k < n; k++) {
            shifted += (weight != nullptr ? weight[k] : 1.0f) * (toFloat(x[k]) - largest);
          }
          value += smoothing / static_cast<float>(n) * (weights * logSum - shifted);
        }
        each[r] = value;
      }
    });
  });
  if (s.reduction == Reduction::none) return;
  double total = 0, count = 0;
  for (std::int64_t r = 0; r < rows; r++) {
    if (target[r] == ignore) continue;
    total += static_cast<double>(each[r]);
    count += weight != nullptr ? static_cast<double>(weight[target[r]]) : 1.0;
  }
  const bool mean = s.reduction == Reduction::mean;
  *s.loss.as<float>() = static_cast<float>(mean ? total / count : total);
  if (mean) *s.divisor.as<float>() = static_cast<float>(count);
}

// The loss of a row is a weighted sum of -log p_k, each with the gradient p - onehot(k).
KERNEL(crossEntropyGrad, F32 | BF16)(const CrossEntropyGradArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.target.size();
  checkTargets(s.target, n, s.ignoreIndex);
  const auto* target = s.target.as<std::int32_t>();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  const float* stats = s.stats.as<float>();
  const float* g = s.g.as<float>();
  const bool perRow = s.reduction == CrossEntropyGradArgs::Reduction::none;
  const float divisor = s.divisor.present ? *s.divisor.as<float>() : 1.0f;
  const auto smoothing = static_cast<float>(s.labelSmoothing);
  const float spread = smoothing / static_cast<float>(n);
  const std::int64_t ignore = s.ignoreIndex;
  float weights = 0;
  for (std::int64_t k = 0; k < n; k++) weights += weight != nullptr ? weight[k] : 1.0f;

  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* allX = s.x.as<T>();
    T* allDx = s.dx.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = allX + r * n;
        T* dx = allDx + r * n;
        const std::int32_t y = target[r];
        if (y == ignore) {
          for (std::int64_t k = 0; k < n; k++) store(dx[k], 0.0f);
          continue;
        }
        const float up = g[perRow ? r : 0] / divisor;
        const float own = (1.0f - smoothing) * (weight != nullptr ? weight[y] : 1.0f);
        const float scale = up * (own + spread * weights);
        const float largest = stats[2 * r], logSum = stats[2 * r + 1];
        const float atTarget = vexp(toFloat(x[y]) - largest - logSum) * scale;
        if (smoothing > 0) {
#pragma omp simd
          for (std::int64_t k = 0; k < n; k++) {
            const float w = weight != nullptr ? weight[k] : 1.0f;
            store(dx[k], fma(vexp(toFloat(x[k]) - largest - logSum), scale, -up * spread * w));
          }
          store(dx[y], atTarget - up * (own + spread * (weight != nullptr ? weight[y] : 1.0f)));
        } else {
#pragma omp simd
          for (std::int64_t k = 0; k < n; k++) store(dx[k], vexp(toFloat(x[k]) - largest - logSum) * scale);
          store(dx[y], atTarget - up * own);
        }
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
