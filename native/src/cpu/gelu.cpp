// gelu and its gradient, each in one pass, by the error function or by tanh.
#include "ops/gelu.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

constexpr float rootHalf = 0x1.6a09e6p-1f;    // sqrt(1/2)
constexpr float normalPeak = 0x1.988454p-2f;  // 1 / sqrt(2 pi)
constexpr float tanhSlope = 0x1.988454p-1f;   // sqrt(2 / pi)
constexpr float cubic = 0.044715f;

SECATEUR_INLINE float tanhPart(float x) { return vtanh(tanhSlope * fma(cubic * x * x, x, x)); }

SECATEUR_INLINE float exact(float x) { return 0.5f * x * (1.0f + verf(x * rootHalf)); }
SECATEUR_INLINE float approximate(float x) { return 0.5f * x * (1.0f + tanhPart(x)); }

SECATEUR_INLINE float exactSlope(float x) {
  return fma(x * normalPeak, vexp(-0.5f * x * x), 0.5f * (1.0f + verf(x * rootHalf)));
}
SECATEUR_INLINE float approximateSlope(float x) {
  const float t = tanhPart(x);
  const float inner = tanhSlope * fma(3.0f * cubic * x, x, 1.0f);
  return 0.5f * fma(x * fma(-t, t, 1.0f), inner, 1.0f + t);
}

template <class F>
SECATEUR_INLINE void forward(const GeluArgs& a, const F& f) {
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(y[i], f(toFloat(x[i])));
    });
  });
}

template <class F>
SECATEUR_INLINE void gradient(const GeluGradArgs& a, const F& slope) {
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    const T* g = a.g.as<T>();
    T* dx = a.dx.as<T>();
    parallelFor(a.dx.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(dx[i], toFloat(g[i]) * slope(toFloat(x[i])));
    });
  });
}

KERNEL(gelu, F32 | BF16)(const GeluArgs& a) {
  if (a.approximate == GeluArgs::Approximate::none) {
    forward(
        a, [](float x) __attribute__((always_inline)) { return exact(x); });
  } else {
    forward(
        a, [](float x) __attribute__((always_inline)) { return approximate(x); });
  }
}

KERNEL(geluGrad, F32 | BF16)(const GeluGradArgs& a) {
  if (a.approximate == GeluGradArgs::Approximate::none) {
    gradient(
        a, [](float x) __attribute__((always_inline)) { return exactSlope(x); });
  } else {
    gradient(
        a, [](float x) __attribute__((always_inline)) { return approximateSlope(x); });
  }
}

}  // namespace secateur::SECATEUR_ISA
