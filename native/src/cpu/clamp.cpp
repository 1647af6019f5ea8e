// Limits from below and above. Comparisons are false for NaN, which passes.
#include "ops/clamp.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(clamp, F32 | BF16 | I32)(const ClampArgs& a) {
  const std::int64_t n = a.y.size();
  if (a.x.dtype == DType::i32) {
    const auto* x = a.x.as<std::int32_t>();
    auto* y = a.y.as<std::int32_t>();
    const double low = a.min, high = a.max;
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        const double v = x[i];
        y[i] = static_cast<std::int32_t>(v < low ? low : v > high ? high : v);
      }
    });
    return;
  }
  const float low = static_cast<float>(a.min), high = static_cast<float>(a.max);
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        const float v = toFloat(x[i]);
        store(y[i], v < low ? low : v > high ? high : v);
      }
    });
  });
}

KERNEL(clampGrad, F32 | BF16)(const ClampGradArgs& a) {
  const float low = static_cast<float>(a.min), high = static_cast<float>(a.max);
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    const T* g = a.g.as<T>();
    T* dx = a.dx.as<T>();
    parallelFor(a.dx.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        const float v = toFloat(x[i]);
        store(dx[i], v >= low && v <= high ? toFloat(g[i]) : 0.0f);
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
