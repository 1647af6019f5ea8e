#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct DropoutParams {
  const void* x;
  void* y;
  std::int64_t n;
  RandomRange random;
  std::uint32_t least;  // of 24 bits: kept at or above
  float scale;
};

}  // namespace secateur::cuda
