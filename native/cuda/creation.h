#pragma once
#include <cstdint>

#include "gpu/indices.h"
#include "gpu/params.h"

namespace secateur::cuda {

struct RandomParams {
  void* y;
  std::int64_t n;
  RandomRange random;
};

struct OneHotParams {
  const std::int32_t* indices;
  void* y;
  std::int64_t count;
  std::int64_t one;  // the bits of 1
  IndexCheck check;
};

}  // namespace secateur::cuda
