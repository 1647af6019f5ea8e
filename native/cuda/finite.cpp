#include "ops/finite.h"
#include "host/pointwise.h"

CUDA_IMAGE(finite)

namespace secateur::cuda {

KERNEL(isFinite, F32 | BF16)(const IsFiniteArgs& a) {
  static Kernels kernels(images::finite, "isFinite");
  launchUnary(kernels[a.x.dtype], a.x, a.y);
}

KERNEL(allFinite, F32 | BF16)(const AllFiniteArgs& a) {
  static Kernels count(images::finite, "countInfinite");
  static Kernel isZero(images::finite, "isZero");
  auto* bad = scratch<std::uint32_t>(1);
  fillZero(bad, sizeof(*bad));
  const std::int64_t n = a.x.size();
  launch(count[a.x.dtype], elementBlocks(n), 256, UnaryParams{a.x.data, bad, n});
  launch(isZero, 1, 1, UnaryParams{bad, a.y.data, 1});
}

}  // namespace secateur::cuda
