// The distillation loss, softmax of student and teacher fused, and its gradient.
#include "ops/klDiv.h"

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// Maximum and logarithm of the sum of exponentials of a row of scaled logits.
template <class T>
SECATEUR_INLINE void rowStats(const T* x, std::int64_t n, float scale, float* stats) {
  float largest = -__builtin_inff();
#pragma omp simd reduction(max : largest)
  for (std::int64_t k = 0; k < n; k++) largest = toFloat(x[k]) * scale > largest ? toFloat(x[k]) * scale : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < n; k++) sum += vexp(toFloat(x[k]) * scale - largest);
  stats[0] = largest;
  stats[1] = vlog(sum);
}

KERNEL(klDiv, F32 | BF16)(const KlDivArgs& s) {
  const std::int64_t n = s.student.back(1), rows = s.stats.size() / 4;
  const auto scale = static_cast<float>(1.0 / s.temperature);
  float* allStats = s.stats.as<float>();
  auto* each = scratch<float>(rows);
  withFloat(s.student.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* student = s.student.as<T>();
    const T* teacher = s.teacher.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = student + r * n;
        const T* y = teacher + r * n;
        float* stats = allStats + 4 * r;
        rowStats(x, n, scale, stats);
        rowStats(y, n, scale, stats + 2);
        const float maxP = stats[0], logP = stats[1], maxQ = stats[2], logQ = stats[3];
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t k = 0; k < n; k++) {
          const float lp = toFloat(x[k]) * scale - maxP - logP, lq = toFloat(y[k]) * scale - maxQ - logQ;
          const float q = vexp(lq);
          sum += q == 0.0f ? 0.0f : q * (lq - lp);
        }
        each[r] = sum;
      }
    });
  });
  double total = 0;
  for (std::int64_t r = 0; r < rows; r++) total += static_cast<double>(each[r]);
  *s.loss.as<float>() = static_cast<float>(s.temperature * s.temperature * total / static_cast<double>(rows));
}

KERNEL(klDivGrad, F32 | BF16)(const KlDivGradArgs& s) {
  const std::int64_t n = s.student.back(1), rows = s.stats.size() / 4;
  const auto scale = static_cast<float>(1.0 / s.temperature);
  const float up = *s.g.as<float>() * static_cast<float>(s.temperature / static_cast<double>(rows));
  const float* allStats = s.stats.as<float>();
  withFloat(s.student.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* student = s.student.as<T>();
    const T* teacher = s.teacher.as<T>();
    T* allDx = s.dx.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = student + r * n;
        const T* y = teacher + r * n;
        T* dx = allDx + r * n;
        const float maxP = allStats[4 * r], logP = allStats[4 * r + 1];
        const float maxQ = allStats[4 * r + 2], logQ = allStats[4 * r + 3];
#pragma omp simd
        for (std::int64_t k = 0; k < n; k++) {
          const float p = vexp(toFloat(x[k]) * scale - maxP - logP), q = vexp(toFloat(y[k]) * scale - maxQ - logQ);
          store(dx[k], up * (p - q));
        }
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
