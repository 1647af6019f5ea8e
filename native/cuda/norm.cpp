#include "norm.h"

#include "host/reduction.h"
#include "ops/norm.h"

CUDA_IMAGE(norm)

namespace secateur::cuda {

KERNEL(norm, F32 | BF16)(const NormArgs& s) {
  static ReductionKernels one(images::norm, "normOne");
  static ReductionKernels two(images::norm, "normTwo");
  static ReductionKernels max(images::norm, "normMax");
  ReductionParams p{};
  p.y = s.y.data;
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  if (s.p == NormArgs::P::two) return two.launch(s.x, axes, 2 * sizeof(float), p);
  (s.p == NormArgs::P::one ? one : max).launch(s.x, axes, sizeof(float), p);
}

KERNEL(normGrad, F32 | BF16)(const NormGradArgs& s) {
  static Kernels bySign(images::norm, "gradBySign");
  static Kernels byValue(images::norm, "gradByValue");
  static Kernels atLargest(images::norm, "gradAtLargest");
  static Kernels mark(images::norm, "markLargest");
  static Kernels scales(images::norm, "scales");
  static ReductionKernels tally(images::norm, "tally");
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  const View outputs = keptShape(s.x, axes, s.y.data, s.y.dtype);
  const Strided index = broadcastTo(s.x, {&outputs});
  const std::int64_t n = s.y.size(), blocks = elementBlocks(s.x.size());
  auto* scale = scratch<float>(n);
  const auto gradient = [&](Kernels& kernels) {
    launch(kernels[s.x.dtype], blocks, 256, NormGradParams{s.x.data, s.y.data, scale, s.dx.data, index});
  };
  float* ties = nullptr;
  if (s.p == NormGradArgs::P::max) {
    // Those that hold the largest magnitude share its gradient: they are marked in dx and counted.
    auto* counted = scratch<float>(n);
    launch(mark[s.x.dtype], blocks, 256, NormGradParams{s.x.data, s.y.data, nullptr, s.dx.data, index});
    View marks = s.x;
    marks.data = s.dx.data;
    ReductionParams p{};
    p.y = counted;
    tally.launch(marks, axes, sizeof(float), p);
    ties = counted;
  }
  launch(scales[s.g.dtype], elementBlocks(n), 256,
         NormScaleParams{s.g.data, s.y.data, ties, scale, n, s.p == NormGradArgs::P::two});
  gradient(s.p == NormGradArgs::P::one ? bySign : s.p == NormGradArgs::P::two ? byValue : atLargest);
}

}  // namespace secateur::cuda
