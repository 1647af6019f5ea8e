// Comparisons: 1 where they hold. Floats follow IEEE: every comparison with NaN is false, but for `ne`.
#include "gpu/broadcast.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

SECATEUR_GPU std::int32_t comparable(std::int32_t x) { return x; }
SECATEUR_GPU std::int32_t comparable(std::uint8_t x) { return x; }
SECATEUR_GPU float comparable(float x) { return x; }
SECATEUR_GPU float comparable(bf16 x) { return toFloat(x); }

template <class T, class F>
SECATEUR_GPU void compare(const BinaryParams& p, F f) {
  broadcast2(p.index, p.same, static_cast<const T*>(p.a), static_cast<const T*>(p.b), static_cast<std::uint8_t*>(p.y),
             [=](T a, T b) { return static_cast<std::uint8_t>(f(comparable(a), comparable(b))); });
}

#define COMPARISON(name, sign)                                                     \
  extern "C" __global__ void name##_f32(const __grid_constant__ BinaryParams p) {  \
    compare<float>(p, [](auto a, auto b) { return a sign b; });                    \
  }                                                                                \
  extern "C" __global__ void name##_bf16(const __grid_constant__ BinaryParams p) { \
    compare<bf16>(p, [](auto a, auto b) { return a sign b; });                     \
  }                                                                                \
  extern "C" __global__ void name##_i32(const __grid_constant__ BinaryParams p) {  \
    compare<std::int32_t>(p, [](auto a, auto b) { return a sign b; });             \
  }                                                                                \
  extern "C" __global__ void name##_u8(const __grid_constant__ BinaryParams p) {   \
    compare<std::uint8_t>(p, [](auto a, auto b) { return a sign b; });             \
  }

COMPARISON(eq, ==)
COMPARISON(ne, !=)
COMPARISON(lt, <)
COMPARISON(le, <=)
COMPARISON(gt, >)
COMPARISON(ge, >=)

}  // namespace secateur::cuda
