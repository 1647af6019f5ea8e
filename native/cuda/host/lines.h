// Launching kernels in which teams of threads work through lines (gpu/lines.cuh).
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
  int teams;        // of a block
};

// For `count` lines of n elements. `copies`: of how many operands the kernel reads a line more than once; `extra`:
// bytes of shared memory that a team wants beside them. A warp works on a line that is short, or not too long where
// lines are many, and needs no barrier; else a block. Lines that are too long for what a block may use without being
// asked for more come from the L2 the second time. A block has four warps that work so, or more where there is room and
// `mostTeams` says it is better. All this depends on the shape alone.
inline LineLaunch lineLaunch(std::int64_t count, std::int64_t n, DType dtype, int copies, std::int64_t extra = 0,
                             int mostTeams = 4) {
  constexpr std::int64_t most = 46 * 1024;
  const std::int64_t packs = (n * static_cast<std::int64_t>(bytesOf(dtype)) + 15) / 16;
  // The first pack may be a part of one.
  const std::int64_t room = 16 * packs + 16;
  const std::int64_t perTeam = copies * room + (extra + 15) / 16 * 16;
  const int warpTeams = mostTeams * perTeam <= most ? mostTeams : 4;
  const bool warp = (packs <= 32 || (packs <= 256 && count >= 1024)) && warpTeams * perTeam <= most;
  const int teams = warp ? warpTeams : 1;
  const int team = warp ? 32 : static_cast<int>(32 * std::min<std::int64_t>((packs + 31) / 32, 16));
  const bool kept = copies > 0 && teams * perTeam <= most;
  return {{count, n, team, kept ? static_cast<unsigned>(room) : 0, static_cast<unsigned>(perTeam)},
          elementBlocks(count, teams),
          static_cast<unsigned>(teams * team),
          kept ? static_cast<unsigned>(teams * perTeam) : 0,
          teams};
}

}  // namespace secateur::cuda
