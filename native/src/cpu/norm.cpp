// Norms over axes and their gradient.
#include "ops/norm.h"

#include "cpu/reduction.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

KERNEL(norm, F32 | BF16)(const NormArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<const T>();
    T* y = s.y.as<T>();
    const Reduction plan = planReduction(s.x, axisBits(s.dim, s.x.rank));
    const auto plain = [=](std::int64_t i, const double* v) __attribute__((always_inline)) {
      store(y[i], static_cast<float>(v[0]));
    };
    switch (s.p) {
      case NormArgs::P::one:
        return reduce<Magnitudes>(plan, x, plain);
      case NormArgs::P::two:
        return reduce<Squares>(
            plan, x, [=](std::int64_t i, const double* v) __attribute__((always_inline)) {
              store(y[i], static_cast<float>(__builtin_sqrt(v[0])));
            });
      case NormArgs::P::max:
        return reduce<LargestMagnitude>(plan, x, plain);
    }
  });
}

// dx = f(x, norm, scale), with scale one number an output.
template <class T, class F>
SECATEUR_INLINE void gradient(const NormGradArgs& s, std::uint32_t axes, const float* scale, const F& f) {
  const T* x = s.x.as<const T>();
  const T* y = s.y.as<const T>();
  T* dx = s.dx.as<T>();
  forRows(planBroadcast(s.x, keptShape(s.x, axes), s.x),
          [=](std::int64_t at, std::int64_t, std::int64_t k, std::int64_t count, std::int64_t, std::int64_t step) {
            if (step == 0) {
              const float norm = toFloat(y[k]), factor = scale[k];
#pragma omp simd
              for (std::int64_t i = at; i < at + count; i++) store(dx[i], f(toFloat(x[i]), norm, factor));
            } else {
#pragma omp simd
              for (std::int64_t i = 0; i < count; i++) {
                store(dx[at + i], f(toFloat(x[at + i]), toFloat(y[k + i]), scale[k + i]));
              }
            }
          });
}

// The sign of x: 0 for 0, NaN for NaN.
SECATEUR_INLINE float signOf(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }

KERNEL(normGrad, F32 | BF16)(const NormGradArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const std::uint32_t axes = axisBits(s.dim, s.x.rank);
    const std::int64_t outputs = s.y.size();
    const T* y = s.y.as<const T>();
    const T* g = s.g.as<const T>();
    auto* scale = scratch<float>(outputs);
    for (std::int64_t k = 0; k < outputs; k++) scale[k] = toFloat(g[k]);
    const auto bySign = [](float v, float, float factor) __attribute__((always_inline)) { return factor * signOf(v); };
    const auto byValue = [](float v, float, float factor) __attribute__((always_inline)) { return factor * v; };
    const auto atLargest = [](float v, float norm, float factor) __attribute__((always_inline)) {
      return absOf(v) == norm ? factor * signOf(v) : 0.0f;
    };
    switch (s.p) {
      case NormGradArgs::P::one:
        return gradient<T>(s, axes, scale, bySign);
      case NormGradArgs::P::two:
        for (std::int64_t k = 0; k < outputs; k++) scale[k] = toFloat(y[k]) == 0 ? 0 : scale[k] / toFloat(y[k]);
        return gradient<T>(s, axes, scale, byValue);
      case NormGradArgs::P::max: {
        T* dx = s.dx.as<T>();
        gradient<T>(
            s, axes, scale,
            [](float v, float norm, float) __attribute__((always_inline)) { return absOf(v) == norm ? 1.0f : 0.0f; });
        reduce<Sums>(
            planReduction(s.x, axes),
            static_cast<const T*>(dx), [=](std::int64_t k, const double* ties) __attribute__((always_inline)) {
              scale[k] /= static_cast<float>(ties[0]);
            });
        return gradient<T>(s, axes, scale, atLargest);
      }
    }
  });
}

}  // namespace secateur::SECATEUR_ISA
