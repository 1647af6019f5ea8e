// Pointwise functions of one tensor, one line each, and their gradients from what they saved.
#include "ops/unary.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

template <class F>
SECATEUR_INLINE void pointwise(const View& vx, const View& vy, const F& f) {
  withFloat(vx.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = vx.as<T>();
    T* y = vy.as<T>();
    parallelFor(vy.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(y[i], f(toFloat(x[i])));
    });
  });
}

// Arithmetic on i32 is done in unsigned, where overflow wraps and is defined.
template <class F>
SECATEUR_INLINE void pointwiseInteger(const View& vx, const View& vy, const F& f) {
  const auto* x = vx.as<std::uint32_t>();
  auto* y = vy.as<std::uint32_t>();
  parallelFor(vy.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; i++) y[i] = f(x[i]);
  });
}

// dx = g f(saved)
template <class F>
SECATEUR_INLINE void gradient(const View& vs, const View& vg, const View& vdx, const F& f) {
  withFloat(vs.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* saved = vs.as<T>();
    const T* g = vg.as<T>();
    T* dx = vdx.as<T>();
    parallelFor(vdx.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(dx[i], toFloat(g[i]) * f(toFloat(saved[i])));
    });
  });
}

#define POINTWISE(op, Args, expression)                                               \
  KERNEL(op, F32 | BF16)(const Args& a) {                                             \
    pointwise(                                                                        \
        a.x, a.y, [](float x) __attribute__((always_inline)) { return expression; }); \
  }
#define POINTWISE_I32(op, Args, expression, integer)                                         \
  KERNEL(op, F32 | BF16 | I32)(const Args& a) {                                              \
    if (a.x.dtype == DType::i32) {                                                           \
      pointwiseInteger(                                                                      \
          a.x, a.y, [](std::uint32_t x) __attribute__((always_inline)) { return integer; }); \
    } else {                                                                                 \
      pointwise(                                                                             \
          a.x, a.y, [](float x) __attribute__((always_inline)) { return expression; });      \
    }                                                                                        \
  }
#define SLOPE(op, Args, expression)                                                             \
  KERNEL(op, F32 | BF16)(const Args& a) {                                                       \
    gradient(                                                                                   \
        a.saved, a.g, a.dx, [](float s) __attribute__((always_inline)) { return expression; }); \
  }

SECATEUR_INLINE float siluSlope(float x) {
  const float s = vsigmoid(x);
  return s * fma(x, 1.0f - s, 1.0f);
}

POINTWISE_I32(neg, NegArgs, -x, 0u - x)
POINTWISE_I32(abs, AbsArgs, absOf(x), (x >> 31) != 0 ? 0u - x : x)
// The last branch keeps NaN and the sign of a zero.
POINTWISE(sign, SignArgs, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
POINTWISE(sqrt, SqrtArgs, __builtin_sqrtf(x))
POINTWISE(rsqrt, RsqrtArgs, 1.0f / __builtin_sqrtf(x))
POINTWISE(exp, ExpArgs, vexp(x))
POINTWISE(log, LogArgs, vlog(x))
POINTWISE(erf, ErfArgs, verf(x))
POINTWISE(sigmoid, SigmoidArgs, vsigmoid(x))
SLOPE(sigmoidGrad, SigmoidGradArgs, s*(1.0f - s))
POINTWISE(tanh, TanhArgs, vtanh(x))
SLOPE(tanhGrad, TanhGradArgs, fma(-s, s, 1.0f))
POINTWISE(silu, SiluArgs, x* vsigmoid(x))
SLOPE(siluGrad, SiluGradArgs, siluSlope(s))
// Both comparisons are false for NaN, which passes.
POINTWISE(relu6, Relu6Args, x <= 0 ? 0.0f : x >= 6 ? 6.0f : x)
SLOPE(relu6Grad, Relu6GradArgs, s <= 0 || s >= 6 ? 0.0f : 1.0f)

}  // namespace secateur::SECATEUR_ISA
