// Conversions between element types. Floats to integers: cut off fractions, saturate, NaN to 0.
#include "ops/cast.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE float widened(float x) { return x; }
SECATEUR_INLINE float widened(bf16 x) { return toFloat(x); }
SECATEUR_INLINE float widened(std::int32_t x) { return static_cast<float>(x); }
SECATEUR_INLINE float widened(std::uint8_t x) { return static_cast<float>(static_cast<std::int32_t>(x)); }

// 2^31 is the first float out of range, and the largest below it is converted exactly.
SECATEUR_INLINE void convert(std::int32_t& y, float x) {
  const float inside = x >= -0x1p31f && x < 0x1p31f ? x : 0.0f;
  const std::int32_t cut = static_cast<std::int32_t>(inside);
  y = x >= 0x1p31f ? 2147483647 : x < -0x1p31f ? -2147483647 - 1 : cut;
}
SECATEUR_INLINE void convert(std::uint8_t& y, float x) {
  const float limited = x > 0.0f ? (x < 255.0f ? x : 255.0f) : 0.0f;
  y = static_cast<std::uint8_t>(static_cast<std::int32_t>(limited));
}
SECATEUR_INLINE void convert(std::uint8_t& y, std::int32_t x) {
  y = static_cast<std::uint8_t>(x < 0 ? 0 : x > 255 ? 255 : x);
}
SECATEUR_INLINE void convert(std::int32_t& y, bf16 x) { convert(y, toFloat(x)); }
SECATEUR_INLINE void convert(std::uint8_t& y, bf16 x) { convert(y, toFloat(x)); }
SECATEUR_INLINE void convert(std::int32_t& y, std::int32_t x) { y = x; }
SECATEUR_INLINE void convert(std::int32_t& y, std::uint8_t x) { y = x; }
SECATEUR_INLINE void convert(std::uint8_t& y, std::uint8_t x) { y = x; }
template <class X>
SECATEUR_INLINE void convert(float& y, X x) {
  y = widened(x);
}
template <class X>
SECATEUR_INLINE void convert(bf16& y, X x) {
  y = toBf16(widened(x));
}

template <class Y>
SECATEUR_INLINE void convertTo(const View& vx, const View& vy) {
  withElement(vx.dtype, [&](auto tag) {
    const auto* x = vx.as<decltype(tag)>();
    Y* y = vy.as<Y>();
    parallelFor(vy.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) convert(y[i], x[i]);
    });
  });
}

KERNEL(cast, ANY)(const CastArgs& a) {
  if (a.y.dtype == DType::bf16) {
    convertTo<bf16>(a.x, a.y);
  } else {
    convertTo<float>(a.x, a.y);
  }
}

KERNEL(castToInteger, ANY)(const CastToIntegerArgs& a) {
  if (a.y.dtype == DType::u8) {
    convertTo<std::uint8_t>(a.x, a.y);
  } else {
    convertTo<std::int32_t>(a.x, a.y);
  }
}

}  // namespace secateur::SECATEUR_ISA
