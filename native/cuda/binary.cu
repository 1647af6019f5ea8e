// Pointwise functions of two tensors, broadcasting, and the gradients that are more than arithmetic.
#include "gpu/broadcast.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

// y = f(a, b) computed in float.
template <class T, class F>
SECATEUR_GPU void inFloat(const BinaryParams& p, F f) {
  broadcast2(p.index, p.same, static_cast<const T*>(p.a), static_cast<const T*>(p.b), static_cast<T*>(p.y),
             [=](T a, T b) { return fromFloat<T>(f(toFloat(a), toFloat(b))); });
}

template <class T, class F>
SECATEUR_GPU void inFloat3(const TernaryParams& p, F f) {
  broadcast3(p.index, p.same, static_cast<const T*>(p.a), static_cast<const T*>(p.b), static_cast<const T*>(p.c),
             static_cast<T*>(p.y), [=](T a, T b, T c) { return fromFloat<T>(f(toFloat(a), toFloat(b), toFloat(c))); });
}

#define FLOATS(name, expression)                                                   \
  extern "C" __global__ void name##_f32(const __grid_constant__ BinaryParams p) {  \
    inFloat<float>(p, [](float a, float b) { return expression; });                \
  }                                                                                \
  extern "C" __global__ void name##_bf16(const __grid_constant__ BinaryParams p) { \
    inFloat<bf16>(p, [](float a, float b) { return expression; });                 \
  }
// In unsigned (a and b), where overflow wraps; p and q are the signed values.
#define INTEGERS(name, expression)                                                                              \
  extern "C" __global__ void name##_i32(const __grid_constant__ BinaryParams s) {                               \
    broadcast2(s.index, s.same, static_cast<const std::uint32_t*>(s.a), static_cast<const std::uint32_t*>(s.b), \
               static_cast<std::uint32_t*>(s.y), [](std::uint32_t a, std::uint32_t b) {                         \
                 [[maybe_unused]] const auto p = static_cast<std::int32_t>(a);                                  \
                 [[maybe_unused]] const auto q = static_cast<std::int32_t>(b);                                  \
                 return static_cast<std::uint32_t>(expression);                                                 \
               });                                                                                              \
  }
#define THREE(name, expression)                                                     \
  extern "C" __global__ void name##_f32(const __grid_constant__ TernaryParams p) {  \
    inFloat3<float>(p, [](float g, float a, float b) { return expression; });       \
  }                                                                                 \
  extern "C" __global__ void name##_bf16(const __grid_constant__ TernaryParams p) { \
    inFloat3<bf16>(p, [](float g, float a, float b) { return expression; });        \
  }

FLOATS(add, a + b)
INTEGERS(add, a + b)
FLOATS(sub, a - b)
INTEGERS(sub, a - b)
FLOATS(mul, a* b)
INTEGERS(mul, a* b)
FLOATS(div, a / b)
FLOATS(pow, powf(a, b))
// A NaN in a is kept by the second test, one in b because it makes the first false.
FLOATS(maximum, a > b || a != a ? a : b)
INTEGERS(maximum, p > q ? a : b)
FLOATS(minimum, a < b || a != a ? a : b)
INTEGERS(minimum, p < q ? a : b)

// A slope of 0 wins over an infinite g.
THREE(powBaseGrad, b == 0 ? 0.0f : g * (b * powf(a, b - 1.0f)))
THREE(powExponentGrad, a == 0 && b >= 0 ? 0.0f : g * (powf(a, b) * logf(a)))
// Half each where both are the same.
THREE(maximumGrad, a < b ? 0.0f : a == b ? 0.5f * g : g)
THREE(minimumGrad, a > b ? 0.0f : a == b ? 0.5f * g : g)

}  // namespace secateur::cuda
