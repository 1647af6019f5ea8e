// PDP's soft mask m = sigmoid((w^2 - t^2) / tau), its product with the weight, and the gradient.
//
// With e = exp(-(w^2 - t^2) / tau): m = 1 / (1 + e) and m (1 - m) = e / (1 + e)^2, both without cancellation, so that
// one ex2 and one rcp give everything. A saturated e (0 or infinity) makes m exactly 1 or 0, and no finite weight gives
// NaN: each product keeps its possible infinity away from a possible zero. Products and sums are spelled out, so that
// the compiler contracts none and every kernel that uses these functions gets the same bits.
#pragma once
#include "gpu/pdp.h"
#include "gpu/ptx.cuh"

namespace secateur::cuda {

constexpr float largestFloat = 0x1.fffffep+127f;

struct PdpMask {
  float t, halfT, rate, sharpness;

  SECATEUR_GPU PdpMask(float threshold, const PdpTemperature& tau) : rate(tau.rate), sharpness(tau.sharpness) {
    moveTo(threshold);
  }
  SECATEUR_GPU void moveTo(float threshold) {
    // An infinite weight stays above the threshold.
    t = threshold > largestFloat ? largestFloat : threshold;
    halfT = __fmul_rn(0.5f, t);
  }

  // exp(-(w^2 - t^2) / tau), as (|w| - t) (|w| + t) / 2: the half keeps the sum of two large numbers finite.
  SECATEUR_GPU float odds(float magnitude) const {
    return exp2Approx(__fmul_rn(__fmul_rn(__fsub_rn(magnitude, t), rate), fmaf(magnitude, 0.5f, halfT)));
  }
  SECATEUR_GPU float mask(float w) const { return reciprocalApprox(__fadd_rn(1.0f, odds(fabsf(w)))); }
  SECATEUR_GPU float product(float w) const { return __fmul_rn(w, mask(w)); }

  // m (1 - m) from e. An infinite e has m = 0, and 0 * infinity is kept out by the largest finite float.
  SECATEUR_GPU float slope(float e, float m) const { return __fmul_rn(__fmul_rn(fminf(e, largestFloat), m), m); }

  // dm/dw = 2 w / tau m (1 - m)
  SECATEUR_GPU float maskSlope(float w) const {
    const float e = odds(fabsf(w));
    const float m = reciprocalApprox(__fadd_rn(1.0f, e));
    return __fmul_rn(fminf(largestFloat, __fmul_rn(w, sharpness)), slope(e, m));
  }

  // g (m + 2 w^2 / tau m (1 - m))
  SECATEUR_GPU float gradient(float w, float g) const {
    const float a = fabsf(w);
    const float e = odds(a);
    const float m = reciprocalApprox(__fadd_rn(1.0f, e));
    const float steepness = fminf(largestFloat, __fmul_rn(__fmul_rn(a, sharpness), a));
    return __fmul_rn(g, fmaf(steepness, slope(e, m), m));
  }
};

}  // namespace secateur::cuda
