#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// What the mask needs of tau, computed in double on the host: -2 log2(e) / tau and 2 / tau.
struct PdpTemperature {
  Number rate;
  Number sharpness;
};

}  // namespace secateur::cuda
