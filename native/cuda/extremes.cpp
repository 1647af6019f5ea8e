#include "extremes.h"

#include "host/reduction.h"
#include "ops/extremes.h"

CUDA_IMAGE(extremes)

namespace secateur::cuda {

KERNEL(amax, ANY)(const AmaxArgs& s) {
  static ReductionKernels kernels(images::extremes, "amax");
  ReductionParams p{};
  p.y = s.y.data;
  kernels.launch(s.x, axisBits(s.dim, s.x.rank), 4, p);
}

KERNEL(amin, ANY)(const AminArgs& s) {
  static ReductionKernels kernels(images::extremes, "amin");
  ReductionParams p{};
  p.y = s.y.data;
  kernels.launch(s.x, axisBits(s.dim, s.x.rank), 4, p);
}

KERNEL(extremeGrad, F32 | BF16)(const ExtremeGradArgs& s) {
  static Kernels mark(images::extremes, "mark");
  static Kernels give(images::extremes, "give");
  static ReductionKernels share(images::extremes, "share");
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  const View outputs = keptShape(s.x, axes, s.y.data, s.y.dtype);
  auto* shares = scratch<float>(s.y.size());
  const ExtremeParams p = {s.x.data, s.y.data, shares, s.dx.data, broadcastTo(s.x, {&outputs})};
  const std::int64_t blocks = elementBlocks(s.x.size());
  launch(mark[s.x.dtype], blocks, 256, p);
  ReductionParams reduction{};
  reduction.y = shares;
  reduction.other = s.g.data;
  share.launch(s.dx, axes, sizeof(float), reduction);
  launch(give[s.x.dtype], blocks, 256, p);
}

}  // namespace secateur::cuda
