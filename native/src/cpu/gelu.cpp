// gelu and its gradient, each in one pass, by the error function or by tanh.
#include "ops/gelu.h"
#include "cpu/gelu.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

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
        a, [](float x) __attribute__((always_inline)) { return geluExact(x); });
  } else {
    forward(
        a, [](float x) __attribute__((always_inline)) { return geluTanh(x); });
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
