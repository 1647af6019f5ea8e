// The PTX instructions written by hand, portable from sm_80 on.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// 2^x to 2 units in the last place; results below 2^-126 become 0.
SECATEUR_GPU float exp2Approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 1 / x to 1 unit in the last place; results below 2^-126 become 0.
SECATEUR_GPU float reciprocalApprox(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace secateur::cuda
