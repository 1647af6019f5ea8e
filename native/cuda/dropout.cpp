#include "dropout.h"

#include <cmath>

#include "host/launch.h"
#include "ops/dropout.h"

CUDA_IMAGE(dropout)

namespace secateur::cuda {

KERNEL(dropout, F32 | BF16)(const DropoutArgs& a) {
  static Kernels kernels(images::dropout, "dropout");
  const std::int64_t n = a.y.size();
  // uniform >= p in whole numbers: the same decision everywhere.
  const auto least = static_cast<std::uint32_t>(std::ceil(a.p * 0x1p24));
  const auto scale = static_cast<float>(1.0 / (1.0 - a.p));
  launch(kernels[a.x.dtype], elementBlocks(n), 256,
         DropoutParams{a.x.data, a.y.data, n, liveRandom(a.random), least, scale});
}

}  // namespace secateur::cuda
