// Conversions between element types. Floats to integers: cut off fractions, saturate, NaN to 0.
#include "gpu/element.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

SECATEUR_GPU float widened(float x) { return x; }
SECATEUR_GPU float widened(bf16 x) { return toFloat(x); }
SECATEUR_GPU float widened(std::int32_t x) { return static_cast<float>(x); }
SECATEUR_GPU float widened(std::uint8_t x) { return static_cast<float>(x); }

// The device's conversion saturates, and gives 0 for NaN where it goes to 32 bits.
SECATEUR_GPU std::int32_t wholeOf(float x) { return x != x ? 0 : __float2int_rz(x); }

template <class Y>
struct To {
  template <class X>
  SECATEUR_GPU Y operator()(X x) const {
    return fromFloat<Y>(widened(x));
  }
};
template <>
struct To<std::int32_t> {
  SECATEUR_GPU std::int32_t operator()(float x) const { return wholeOf(x); }
  SECATEUR_GPU std::int32_t operator()(bf16 x) const { return wholeOf(toFloat(x)); }
  SECATEUR_GPU std::int32_t operator()(std::int32_t x) const { return x; }
  SECATEUR_GPU std::int32_t operator()(std::uint8_t x) const { return x; }
};
template <>
struct To<std::uint8_t> {
  SECATEUR_GPU std::uint8_t operator()(std::int32_t x) const {
    return static_cast<std::uint8_t>(x < 0 ? 0 : x > 255 ? 255 : x);
  }
  SECATEUR_GPU std::uint8_t operator()(float x) const { return (*this)(wholeOf(x)); }
  SECATEUR_GPU std::uint8_t operator()(bf16 x) const { return (*this)(wholeOf(toFloat(x))); }
  SECATEUR_GPU std::uint8_t operator()(std::uint8_t x) const { return x; }
};

template <class X, class Y>
SECATEUR_GPU void convert(const UnaryParams& p) {
  constexpr int widest = sizeof(X) > sizeof(Y) ? sizeof(X) : sizeof(Y);
  mapStored<16 / widest>(p.n, static_cast<Y*>(p.y), To<Y>{}, static_cast<const X*>(p.x));
}

#define CONVERSIONS(to, Y)                                                                                    \
  extern "C" __global__ void to##_f32(const __grid_constant__ UnaryParams p) { convert<float, Y>(p); }        \
  extern "C" __global__ void to##_bf16(const __grid_constant__ UnaryParams p) { convert<bf16, Y>(p); }        \
  extern "C" __global__ void to##_i32(const __grid_constant__ UnaryParams p) { convert<std::int32_t, Y>(p); } \
  extern "C" __global__ void to##_u8(const __grid_constant__ UnaryParams p) { convert<std::uint8_t, Y>(p); }

CONVERSIONS(toF32, float)
CONVERSIONS(toBf16, bf16)
CONVERSIONS(toI32, std::int32_t)
CONVERSIONS(toU8, std::uint8_t)

}  // namespace secateur::cuda
