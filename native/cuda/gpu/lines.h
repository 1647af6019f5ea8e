#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

// Lines of n neighbours, each worked on by a team of threads: a warp, or a whole block.
struct Lines {
  std::int64_t count;
  std::int64_t n;
  int team;          // threads
  unsigned room;     // bytes of shared memory for an operand that is read more than once; 0: the lines are too long
  unsigned perTeam;  // bytes of shared memory of a team
};

}  // namespace secateur::cuda
