#include "hardMask.h"

#include <algorithm>

#include "gpu/rows.h"
#include "host/launch.h"
#include "ops/hardMask.h"

CUDA_IMAGE(hardMask)

namespace secateur::cuda {

namespace {

template <class Args>
void drop(Kernel& kernel, const Args& a, const View& y) {
  static Kernel ties(images::hardMask, "dropTies");
  const std::int64_t n = a.w.size();
  if (n == 0) return;
  const std::int64_t chunks = chunksOf(n);
  const HardMaskParams p{a.w.template as<float>(),
                         y.as<float>(),
                         n,
                         chunks,
                         a.levels.template as<float>(),
                         a.counts.template as<std::int32_t>(),
                         liveWhole(a.layer),
                         scratch<unsigned>(chunks)};
  const std::int64_t blocks = std::min<std::int64_t>(chunks, std::int64_t{8} * multiprocessors());

  launch(kernel, blocks, chunkThreads, p);
  launch(ties, blocks, chunkThreads, p);
}

}  // namespace

KERNEL(hardMask, F32)(const HardMaskArgs& a) {
  static Kernel kernel(images::hardMask, "hardMask");
  drop(kernel, a, a.mask);
}

KERNEL(applyHardMask, F32)(const ApplyHardMaskArgs& a) {
  static Kernel kernel(images::hardMask, "applyHardMask");
  drop(kernel, a, a.y);
}

}  // namespace secateur::cuda
