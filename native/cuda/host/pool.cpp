#include "host/pool.h"

#include "host/strided.h"

namespace secateur::cuda {

void PoolKernels::launch(const View& from, const View& to, PoolParams p) {
  const std::int64_t channels = from.dims[3];
  const auto pack = static_cast<std::int64_t>(16 / bytesOf(from.dtype));
  bool whole = channels % pack == 0;
  for (const void* operand : {static_cast<const void*>(from.data), static_cast<const void*>(to.data), p.winner,
                              static_cast<const void*>(p.winnerOut)})
    whole = whole && reinterpret_cast<std::uintptr_t>(operand) % 16 == 0;
  const std::int64_t width = whole ? pack : 1;
  p.from = from.data;
  p.to = to.data;
  p.channels = channels;
  p.walk = {};
  addAxis(p.walk, to.dims[0], {from.dims[1] * from.dims[2] * channels, 0, 0});
  addAxis(p.walk, to.dims[1], {0, 1, 0});
  addAxis(p.walk, to.dims[2], {0, 0, 1});
  addAxis(p.walk, channels / width, {width, 0, 0});
  cuda::launch((whole ? packs_ : single_)[from.dtype], elementBlocks(p.walk.n, 256), 256, p);
}

}  // namespace secateur::cuda
