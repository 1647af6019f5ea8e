#pragma once
#include <cstdint>

#include "gpu/pdp.h"

namespace secateur::cuda {

// n numbers in groups of m, of which `drop` go. g: the gradient; unused forward.
struct NmParams {
  const float* w;
  const void* g;
  void* y;
  std::int64_t n;
  int m, drop;
  PdpTemperature tau;
};

}  // namespace secateur::cuda
