#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct FillParams {
  void* y;
  std::int64_t n;
  Whole bits;  // of one element
};

}  // namespace secateur::cuda
