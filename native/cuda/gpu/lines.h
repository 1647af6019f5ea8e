#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

// Lines of n neighbours. `room`: bytes of shared memory for each operand that is read more than once; 0: too long.
struct Lines {
  std::int64_t count;
  std::int64_t n;
  unsigned room;
};

}  // namespace secateur::cuda
