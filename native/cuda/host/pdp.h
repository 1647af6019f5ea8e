// The temperature of a soft mask, as kernels take it.
#pragma once
#include "gpu/pdp.h"
#include "host/launch.h"

namespace secateur::cuda {

// A tau below 1e-38, where its reciprocal is no float, counts as 1e-38.
inline PdpTemperature temperature(double tau) {
  const double inverse = 1.0 / (tau < 1e-38 ? 1e-38 : tau);
  return {live(-2.0 * 1.4426950408889634 * inverse), live(2.0 * inverse)};
}

}  // namespace secateur::cuda
