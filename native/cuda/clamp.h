#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct ClampParams {
  const void* x;
  const void* g;  // of the gradient
  void* y;
  std::int64_t n;
  Number low, high;
  Whole lowInteger, highInteger;
};

}  // namespace secateur::cuda
