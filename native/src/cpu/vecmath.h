#pragma once
// Elementary functions as straight-line float code: no branch, no call, no table, so that a loop over any of them under
// `#pragma omp simd` becomes full-width vector code on every instruction set this header is compiled for.
//
// Every multiply-add is written out, never left to the compiler's contraction: an element has the same bits in the
// vector body of a loop, in its remainder and in every kernel that uses the same function (folded kernels rely on it).
// NaN gives NaN, infinities their limits, denormals are kept on both sides. Largest errors below are in units in the
// last place, measured on every 17th of the 2^32 inputs against double, denormal results included.
//
// The coefficients are minimax fits (reweighted least squares in double, rounded one after the other from the lowest).
#include <cstdint>

#include "../core/bf16.h"

#define SECATEUR_INLINE static inline __attribute__((always_inline))

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE std::uint32_t bitsOf(float x) { return __builtin_bit_cast(std::uint32_t, x); }
SECATEUR_INLINE float floatOf(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
SECATEUR_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
SECATEUR_INLINE float absOf(float x) { return floatOf(bitsOf(x) & 0x7fffffffu); }
SECATEUR_INLINE float withSignOf(float magnitude, float sign) {
  return floatOf(bitsOf(magnitude) | (bitsOf(sign) & 0x80000000u));
}

// 2^n * p for p near 1 and -150 <= n <= 128, in two steps: each factor is a normal number, and only the second product
// can round (into the denormals) or overflow.
SECATEUR_INLINE float scaleByPower(float p, std::int32_t n) {
  const std::int32_t half = n >> 1;
  const float first = floatOf(static_cast<std::uint32_t>(half + 127) << 23);
  const float second = floatOf(static_cast<std::uint32_t>(n - half + 127) << 23);
  return p * first * second;
}

// e^x. exp(x) = 2^n * e^r with n = round(x / ln 2), |r| <= ln(2) / 2, and ln 2 taken as a short head and a tail.
// Largest error 1.02 ulp.
SECATEUR_INLINE float vexp(float x) {
  // Beyond these the result is 0 or infinity anyway; NaN fails both comparisons and passes through.
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits; a NaN leaves harmless bits, and r is NaN.
  const float shifted = fma(x, 0x1.715476p+0f, 0x1.8p+23f);
  const std::int32_t n = static_cast<std::int32_t>(bitsOf(shifted) - bitsOf(0x1.8p+23f));
  const float nf = shifted - 0x1.8p+23f;
  float r = fma(nf, -0x1.62e4p-1f, x);
  r = fma(nf, -0x1.7f7d1cp-20f, r);
  float q = 0x1.6a4cb4p-10f;
  q = fma(q, r, 0x1.123986p-7f);
  q = fma(q, r, 0x1.5558b0p-5f);
  q = fma(q, r, 0x1.555492p-3f);
  q = fma(q, r, 0x1.fffffcp-2f);
  return scaleByPower(fma(r * r, q, r) + 1.0f, n);
}

// The logistic function 1 / (1 + e^-x), from the exponential of -|x|: nothing overflows, and the far left side keeps
// its relative precision down to the denormals. Largest error 2.3 ulp.
SECATEUR_INLINE float vsigmoid(float x) {
  const float e = vexp(-absOf(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// Hyperbolic tangent: an odd polynomial near zero, 1 - 2 / (e^2|x| + 1) elsewhere.
// Largest error 1.34 ulp.
SECATEUR_INLINE float vtanh(float x) {
  const float a = absOf(x);
  const float z = x * x;
  float p = -0x1.750ce2p-8f;
  p = fma(p, z, 0x1.51f8cep-6f);
  p = fma(p, z, -0x1.b835a4p-5f);
  p = fma(p, z, 0x1.1106f6p-3f);
  p = fma(p, z, -0x1.555532p-2f);
  const float near = fma(p * z, a, a);
  const float far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
  return withSignOf(a < 0.625f ? near : far, x);
}

// Error function: an odd polynomial up to 1, 1 - exp(p(|x|)) with p a fit of ln erfc beyond.
// Largest error 1.05 ulp.
SECATEUR_INLINE float verf(float x) {
  const float a = absOf(x);
  const float z = x * x;
  float p = 0x1.4771fcp-14f;
  p = fma(p, z, -0x1.a3515ep-11f);
  p = fma(p, z, 0x1.53f224p-8f);
  p = fma(p, z, -0x1.b7f71ap-6f);
  p = fma(p, z, 0x1.ce2ce6p-4f);
  p = fma(p, z, -0x1.81273ep-2f);
  p = fma(p, z, 0x1.06eba8p-3f);
  const float near = fma(p, x, x);
  const float b = a > 4.0f ? 4.0f : a;
  float q = 0x1.896bbep-13f;
  q = fma(q, b, -0x1.83fb5ap-9f);
  q = fma(q, b, 0x1.66a350p-6f);
  q = fma(q, b, -0x1.a6c7fcp-4f);
  q = fma(q, b, -0x1.46a98cp-1f);
  q = fma(q, b, -0x1.208e52p+0f);
  q = fma(q, b, -0x1.5025a2p-12f);
  const float far = withSignOf(1.0f - vexp(q), x);
  return a < 1.0f ? near : far;
}

// Natural logarithm: x = 2^e * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); -infinity at zero, NaN below it.
// Largest error 0.81 ulp.
SECATEUR_INLINE float vlog(float x) {
  const bool denormal = x < 0x1p-126f;
  const float scaled = denormal ? x * 0x1p23f : x;
  const std::uint32_t offset = bitsOf(scaled) - 0x3f3504f3u;  // the bits of sqrt(1/2)
  const std::int32_t exponent = static_cast<std::int32_t>(offset) >> 23;
  const float e = static_cast<float>(exponent - (denormal ? 23 : 0));
  const float f = floatOf((offset & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float p = 0x1.146ddcp-4f;
  p = fma(p, f, -0x1.de0958p-4f);
  p = fma(p, f, 0x1.e6c5c6p-4f);
  p = fma(p, f, -0x1.fc2844p-4f);
  p = fma(p, f, 0x1.233b54p-3f);
  p = fma(p, f, -0x1.555c44p-3f);
  p = fma(p, f, 0x1.99a478p-3f);
  p = fma(p, f, -0x1.000006p-2f);
  p = fma(p, f, 0x1.555548p-2f);
  // f - f^2/2 + f^3 p, and e ln 2 as a head whose product with e is exact and a tail
  const float z = f * f;
  float low = fma(e, -0x1.05c610p-29f, z * f * p);
  low = fma(z, -0.5f, low);
  float y = fma(e, 0x1.62e430p-1f, f + low);
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x == __builtin_inff() ? x : y;
  return x < 0.0f || x != x ? __builtin_nanf("") : y;
}

// bf16 is the upper half of a float.
SECATEUR_INLINE float toFloat(float x) { return x; }
SECATEUR_INLINE float toFloat(bf16 x) { return floatOf(static_cast<std::uint32_t>(x.bits) << 16); }

// Rounds to the nearest bf16, ties to even, overflow to infinity. A NaN keeps its sign and upper payload and becomes
// quiet, so that no payload can round it into an infinity.
SECATEUR_INLINE bf16 toBf16(float x) {
  const std::uint32_t bits = bitsOf(x);
  const std::uint32_t rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const std::uint32_t kept = (bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x00400000u : rounded;
  return bf16{static_cast<std::uint16_t>(kept >> 16)};
}

// The conversion a templated kernel ends with: `store(out[i], value)` for either element type.
SECATEUR_INLINE void store(float& out, float x) { out = x; }
SECATEUR_INLINE void store(bf16& out, float x) { out = toBf16(x); }

}  // namespace secateur::SECATEUR_ISA
