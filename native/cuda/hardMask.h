#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct HardMaskParams {
  const float* w;
  float* y;
  std::int64_t n;
  std::int64_t chunks;
  // What `threshold` found for this layer lies in a row of these.
  const float* levels;
  const std::int32_t* counts;
  Whole layer;
  unsigned* equal;  // a chunk: its entries of magnitude a_k
};

}  // namespace secateur::cuda
