// gelu of one number and its slope, by the error function or by tanh.
#pragma once
#include "cpu/vecmath.h"

namespace secateur::SECATEUR_ISA {

constexpr float rootHalf = 0x1.6a09e6p-1f;    // sqrt(1/2)
constexpr float normalPeak = 0x1.988454p-2f;  // 1 / sqrt(2 pi)
constexpr float tanhSlope = 0x1.988454p-1f;   // sqrt(2 / pi)
constexpr float cubic = 0.044715f;

SECATEUR_INLINE float tanhPart(float x) { return vtanh(tanhSlope * fma(cubic * x * x, x, x)); }

SECATEUR_INLINE float geluExact(float x) { return 0.5f * x * (1.0f + verf(x * rootHalf)); }
SECATEUR_INLINE float geluTanh(float x) { return 0.5f * x * (1.0f + tanhPart(x)); }

SECATEUR_INLINE float exactSlope(float x) {
  return fma(x * normalPeak, vexp(-0.5f * x * x), 0.5f * (1.0f + verf(x * rootHalf)));
}
SECATEUR_INLINE float approximateSlope(float x) {
  const float t = tanhPart(x);
  const float inner = tanhSlope * fma(3.0f * cubic * x, x, 1.0f);
  return 0.5f * fma(x * fma(-t, t, 1.0f), inner, 1.0f + t);
}

}  // namespace secateur::SECATEUR_ISA
