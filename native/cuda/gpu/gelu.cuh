// gelu by the error function: x times the share of the standard normal distribution below x.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

constexpr float rootHalf = 0x1.6a09e6p-1f;  // sqrt(1/2)

SECATEUR_GPU float geluExact(float x) { return 0.5f * x * (1.0f + erff(x * rootHalf)); }

}  // namespace secateur::cuda
