#include "variance.h"

#include "host/reduction.h"
#include "ops/variance.h"

CUDA_IMAGE(variance)

namespace secateur::cuda {

static float divisorOf(std::int64_t n, double correction) {
  const auto count = static_cast<double>(n);
  return static_cast<float>(count > correction ? count - correction : 0);
}

template <class Args>
static void variance(ReductionKernels& kernels, const Args& s) {
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  ReductionParams p{};
  p.y = s.y.data;
  p.second = s.mean.data;
  p.scale = divisorOf(reducedLength(s.x, axes), s.correction);
  kernels.launch(s.x, axes, 4 * sizeof(float), p);
}

KERNEL(var, F32 | BF16)(const VarArgs& s) {
  static ReductionKernels kernels(images::variance, "var");
  variance(kernels, s);
}

KERNEL(std, F32 | BF16)(const StdArgs& s) {
  static ReductionKernels kernels(images::variance, "std");
  variance(kernels, s);
}

KERNEL(varGrad, F32 | BF16)(const VarGradArgs& s) {
  static Kernels kernels(images::variance, "varGrad");
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  const View outputs = keptShape(s.x, axes, s.g.data, s.g.dtype);
  launch(kernels[s.x.dtype], elementBlocks(s.x.size()), 256,
         VarGradParams{s.x.data, s.mean.as<float>(), s.g.data, s.std.present ? s.std.data : nullptr, s.dx.data,
                       broadcastTo(s.x, {&outputs}), divisorOf(reducedLength(s.x, axes), s.correction)});
}

}  // namespace secateur::cuda
