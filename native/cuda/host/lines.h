// Launching kernels in which a block works through lines (gpu/lines.cuh).
#pragma once
#include <algorithm>

#include "gpu/lines.h"
#include "host/launch.h"

namespace secateur::cuda {

struct LineLaunch {
  Lines lines;
  std::int64_t blocks;
  unsigned threads;
  unsigned shared;  // bytes
};

// For `count` lines of n elements. `copies`: of how many operands the kernel reads a line more than once; `extra`:
// bytes of shared memory it wants beside them. Lines that are too long for what a block may use without being asked for
// more come from the L2 the second time.
inline LineLaunch lineLaunch(std::int64_t count, std::int64_t n, DType dtype, int copies, std::int64_t extra = 0) {
  constexpr std::int64_t most = 46 * 1024;
  const std::int64_t packs = (n * static_cast<std::int64_t>(bytesOf(dtype)) + 15) / 16;
  const std::int64_t warps = std::min<std::int64_t>(std::max<std::int64_t>((packs + 31) / 32, 1), 16);
  // The first pack may be a part of one.
  const std::int64_t room = 16 * packs + 16;
  const bool kept = copies > 0 && copies * room + extra <= most;
  return {{count, n, kept ? static_cast<unsigned>(room) : 0},
          elementBlocks(count, 1),
          static_cast<unsigned>(32 * warps),
          kept ? static_cast<unsigned>(copies * room + extra) : 0};
}

}  // namespace secateur::cuda
