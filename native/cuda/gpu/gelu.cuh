// gelu by the error function, x times the share of the standard normal distribution below x, and its form by tanh.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

constexpr float rootHalf = 0x1.6a09e6p-1f;   // sqrt(1/2)
constexpr float tanhSlope = 0x1.988454p-1f;  // sqrt(2 / pi)
constexpr float cubic = 0.044715f;

SECATEUR_GPU float geluExact(float x) { return 0.5f * x * (1.0f + erff(x * rootHalf)); }

SECATEUR_GPU float tanhPart(float x) { return tanhf(tanhSlope * fmaf(cubic * x * x, x, x)); }
SECATEUR_GPU float geluTanhForm(float x) { return 0.5f * x * (1.0f + tanhPart(x)); }

}  // namespace secateur::cuda
