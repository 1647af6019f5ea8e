#include "indexSelect.h"

#include "host/indices.h"
#include "host/launch.h"
#include "ops/indexSelect.h"

CUDA_IMAGE(indexSelect)

namespace secateur::cuda {

namespace {

// A tensor seen around one axis.
struct AroundAxis {
  std::int64_t outer = 1, extent = 1, inner = 1;
};
AroundAxis around(const View& v, std::int64_t dim) {
  const auto axis = static_cast<int>(dim < 0 ? dim + v.rank : dim);
  AroundAxis a;
  for (int d = 0; d < axis; d++) a.outer *= v.dims[d];
  a.extent = v.dims[axis];
  for (int d = axis + 1; d < v.rank; d++) a.inner *= v.dims[d];
  return a;
}

}  // namespace

KERNEL(indexSelect, ANY)(const IndexSelectArgs& s) {
  static BySize kernels(images::indexSelect, "select");
  const AroundAxis a = around(s.x, s.dim);
  launch(kernels[s.x.dtype], elementBlocks(s.y.size()), 256,
         IndexSelectParams{s.x.data, s.index.as<std::int32_t>(), s.y.data, a.outer, s.index.size(), a.inner,
                           checkIndices("indexSelect", a.extent)});
}

KERNEL(indexSelectGrad, F32 | BF16)(const IndexSelectGradArgs& s) {
  static Kernel chain(images::indexSelect, "chain");
  static Kernels sums(images::indexSelect, "sumChains");
  const AroundAxis a = around(s.dx, s.dim);
  if (!s.accumulate) fillZero(s.dx.data, static_cast<std::size_t>(s.dx.size()) * bytesOf(s.dx.dtype));
  const std::int64_t n = s.index.size();
  if (n == 0) return;
  auto* next = scratch<std::int32_t>(n);
  auto* head = scratch<std::int32_t>(n);
  const auto* index = s.index.as<std::int32_t>();
  launch(chain, elementBlocks(n, 128), 128,
         ChainParams{index, n, next, head, checkIndices("indexSelectGrad", a.extent)});
  launch(sums[s.g.dtype], elementBlocks(a.outer * n, 1), 128,
         SumChainsParams{s.g.data, index, next, head, s.dx.data, a.outer, n, a.inner, a.extent});
}

}  // namespace secateur::cuda
