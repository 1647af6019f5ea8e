// 16-bit floats on the host.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace gpusim {

inline float fromBf16(std::uint16_t x) {
  const std::uint32_t u = static_cast<std::uint32_t>(x) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}

// Nearest, ties to even; NaN becomes the canonical one.
inline std::uint16_t toBf16(float f) {
  if (f != f) return 0x7fff;
  std::uint32_t u;
  std::memcpy(&u, &f, 4);
  return static_cast<std::uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

inline float fromF16(std::uint16_t x) {
  const int exponent = x >> 10 & 31;
  const int mantissa = x & 1023;
  const float sign = (x & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                               : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25));
}

inline std::uint16_t toF16(float f) {
  if (f != f) return 0x7fff;
  const auto sign = static_cast<std::uint16_t>(std::signbit(f) ? 0x8000 : 0);
  const float a = std::fabs(f);
  if (a >= 65520.0f) return sign | 0x7c00;
  if (a < 0x1p-14f) return sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(a, 24)));
  int exponent = 0;
  const float m = std::frexp(a, &exponent);  // in [0.5, 1)
  auto mantissa = static_cast<int>(std::nearbyint(std::ldexp(m, 11)));
  if (mantissa == 2048) {
    mantissa = 1024;
    exponent++;
  }
  return static_cast<std::uint16_t>(sign | (exponent + 14) << 10 | (mantissa - 1024));
}

}  // namespace gpusim
