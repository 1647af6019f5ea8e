#include "sum.h"

#include "host/reduction.h"
#include "ops/sum.h"

CUDA_IMAGE(sum)

namespace secateur::cuda {

static void sumOver(const View& x, std::uint32_t axes, const View& y, float divisor) {
  static ReductionKernels kernels(images::sum, "sum");
  ReductionParams p{};
  p.y = y.data;
  p.scale = divisor;
  kernels.launch(x, axes, sizeof(float), p);
}

KERNEL(sum, ANY)(const SumArgs& s) { sumOver(s.x, axisBits(s.dim, s.x.rank), s.y, 1); }

KERNEL(mean, F32 | BF16)(const MeanArgs& s) {
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  sumOver(s.x, axes, s.y, static_cast<float>(reducedLength(s.x, axes)));
}

KERNEL(meanGrad, F32 | BF16)(const MeanGradArgs& s) {
  static Kernels kernels(images::sum, "meanGrad");
  const std::uint32_t axes = axisBits(s.dim, s.dx.rank);
  const View g = keptShape(s.dx, axes, s.g.data, s.g.dtype);
  launch(kernels[s.dx.dtype], elementBlocks(s.dx.size()), 256,
         ShareParams{{g.data, nullptr, s.dx.data, broadcastTo(s.dx, {&g}), false},
                     static_cast<float>(reducedLength(s.dx, axes))});
}

}  // namespace secateur::cuda
