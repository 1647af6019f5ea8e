#include "topk.h"

#include "host/reduction.h"
#include "ops/topk.h"

CUDA_IMAGE(topk)

namespace secateur::cuda {

KERNEL(topk, F32 | BF16)(const TopkArgs& s) {
  static Kernels kernels(images::topk, "topk");
  const auto axis = static_cast<int>(s.dim < 0 ? s.dim + s.x.rank : s.dim);
  TopkParams p{s.x.data, s.values.data, s.indices.as<std::int32_t>(), 1, s.x.dims[axis], 1, s.k, 32, s.largest};
  for (int d = axis + 1; d < s.x.rank; d++) p.inner *= s.x.dims[d];
  p.fibres = p.inner;
  for (int d = 0; d < axis; d++) p.fibres *= s.x.dims[d];
  while (p.room < p.extent && p.room < 1024) p.room *= 2;
  if (p.k > 0) launch(kernels[s.x.dtype], elementBlocks(p.fibres, 1), 256, p);
}

KERNEL(argmax, F32 | BF16)(const ArgmaxArgs& s) {
  static ReductionKernels kernels(images::topk, "argmax");
  const auto axis = static_cast<int>(s.dim < 0 ? s.dim + s.x.rank : s.dim);
  ReductionParams p{};
  p.y = s.y.data;
  kernels.launch(s.x, 1u << axis, 8, p);
}

}  // namespace secateur::cuda
