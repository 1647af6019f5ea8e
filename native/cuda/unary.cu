// Pointwise functions of one tensor, one line each, and their gradients from what they saved. 4 or 2 bytes are read and
// written an element.
#include "gpu/element.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

template <class T, class F>
SECATEUR_GPU void pointwise(const UnaryParams& p, F f) {
  mapElements<perPack<T>>(p.n, static_cast<T*>(p.y), f, static_cast<const T*>(p.x));
}

template <class T, class F>
SECATEUR_GPU void slope(const SlopeParams& p, F f) {
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.dx), [=](float s, float g) { return g * f(s); }, static_cast<const T*>(p.saved),
      static_cast<const T*>(p.g));
}

SECATEUR_GPU float sigmoidOf(float x) {
  // From the exponential of -|x|: nothing overflows.
  const float e = expf(-fabsf(x));
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}

SECATEUR_GPU float siluSlope(float x) {
  const float s = sigmoidOf(x);
  return s * fmaf(x, 1.0f - s, 1.0f);
}

#define POINTWISE(name, expression)                                               \
  extern "C" __global__ void name##_f32(const __grid_constant__ UnaryParams p) {  \
    pointwise<float>(p, [](float x) { return expression; });                      \
  }                                                                               \
  extern "C" __global__ void name##_bf16(const __grid_constant__ UnaryParams p) { \
    pointwise<bf16>(p, [](float x) { return expression; });                       \
  }
// Arithmetic on i32 is done in unsigned, where overflow wraps.
#define INTEGER(name, expression)                                                          \
  extern "C" __global__ void name##_i32(const __grid_constant__ UnaryParams p) {           \
    mapStored<4>(                                                                          \
        p.n, static_cast<std::uint32_t*>(p.y), [](std::uint32_t x) { return expression; }, \
        static_cast<const std::uint32_t*>(p.x));                                           \
  }
#define SLOPE(name, expression)                                                   \
  extern "C" __global__ void name##_f32(const __grid_constant__ SlopeParams p) {  \
    slope<float>(p, [](float s) { return expression; });                          \
  }                                                                               \
  extern "C" __global__ void name##_bf16(const __grid_constant__ SlopeParams p) { \
    slope<bf16>(p, [](float s) { return expression; });                           \
  }

POINTWISE(neg, -x)
INTEGER(neg, 0u - x)
POINTWISE(abs, fabsf(x))
INTEGER(abs, x >> 31 != 0 ? 0u - x : x)
// The last branch keeps NaN and the sign of a zero.
POINTWISE(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
POINTWISE(sqrt, sqrtf(x))
POINTWISE(rsqrt, 1.0f / sqrtf(x))
POINTWISE(exp, expf(x))
POINTWISE(log, logf(x))
POINTWISE(erf, erff(x))
POINTWISE(sigmoid, sigmoidOf(x))
SLOPE(sigmoidGrad, s*(1.0f - s))
POINTWISE(tanh, tanhf(x))
SLOPE(tanhGrad, fmaf(-s, s, 1.0f))
POINTWISE(silu, x* sigmoidOf(x))
SLOPE(siluGrad, siluSlope(s))
// Both comparisons are false for NaN, which passes.
POINTWISE(relu6, x <= 0 ? 0.0f : x >= 6 ? 6.0f : x)
SLOPE(relu6Grad, s <= 0 || s >= 6 ? 0.0f : 1.0f)

}  // namespace secateur::cuda
