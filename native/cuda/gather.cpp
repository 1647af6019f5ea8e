#include "gather.h"

#include "gpu/pointwise.h"
#include "host/indices.h"
#include "host/rearrange.h"
#include "ops/gather.h"

CUDA_IMAGE(gather)
CUDA_IMAGE(cast)

namespace secateur::cuda {

namespace {

int axisOf(std::int64_t dim, const View& v) { return static_cast<int>(dim < 0 ? dim + v.rank : dim); }

// y = x (or 0) with src added where the index says. bf16 is summed in f32 and rounded once.
void addBack(const char* op, const View* x, const View& index, const View& src, const View& y, std::int64_t dim) {
  static Kernels kernels(images::gather, "scatter");
  static Kernels toF32(images::cast, "toF32");
  static Kernels toBf16(images::cast, "toBf16");
  const std::int64_t n = y.size();
  const bool direct = y.dtype == DType::f32;
  float* sum = direct ? y.as<float>() : scratch<float>(n);
  if (x == nullptr)
    fillZero(sum, static_cast<std::size_t>(n) * sizeof(float));
  else
    launch(toF32[x->dtype], elementBlocks(n), 256, UnaryParams{x->data, sum, n});
  const int axis = axisOf(dim, y);
  const Strides own = stridesOf(index), to = stridesOf(y);
  Strided fibres;
  for (int d = 0; d < y.rank; d++) {
    if (d != axis) addAxis(fibres, index.dims[d], {own.of[d], to.of[d]});
  }
  if (index.size() > 0) {
    launch(kernels[src.dtype], elementBlocks(fibres.n, 8), 256,
           ScatterParams{src.data, index.as<std::int32_t>(), sum, fibres, index.dims[axis], own.of[axis], to.of[axis],
                         checkIndices(op, y.dims[axis])});
  }
  if (!direct) launch(toBf16[DType::f32], elementBlocks(n), 256, UnaryParams{sum, y.data, n});
}

}  // namespace

KERNEL(gather, ANY)(const GatherArgs& s) {
  static BySize kernels(images::gather, "gather");
  const int axis = axisOf(s.dim, s.x);
  const Strides from = stridesOf(s.x);
  Strided walk;
  for (int d = 0; d < s.x.rank; d++) addAxis(walk, s.index.dims[d], {d == axis ? 0 : from.of[d]});
  launch(kernels[s.x.dtype], elementBlocks(walk.n), 256,
         GatherParams{s.x.data, s.index.as<std::int32_t>(), s.y.data, walk, from.of[axis],
                      checkIndices("gather", s.x.dims[axis])});
}

KERNEL(gatherGrad, F32 | BF16)(const GatherGradArgs& s) { addBack("gatherGrad", nullptr, s.index, s.g, s.dx, s.dim); }

KERNEL(scatterAdd, F32 | BF16)(const ScatterAddArgs& s) { addBack("scatterAdd", &s.x, s.index, s.src, s.y, s.dim); }

}  // namespace secateur::cuda
