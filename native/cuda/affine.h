#pragma once
#include <cstdint>

#include "gpu/pointwise.h"

namespace secateur::cuda {

struct AffineParams {
  const void* x;
  void* y;
  std::int64_t n;
  Number scale;
  Number shift;
};

struct AddScaledParams {
  BinaryParams operands;
  Number scale;
};

}  // namespace secateur::cuda
