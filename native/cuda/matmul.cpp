#include "matmul.h"

#include "host/launch.h"
#include "host/product.h"
#include "ops/matmul.h"
#include "vendor/matmul.h"

CUDA_IMAGE(matmul)

namespace secateur::cuda {

namespace {

// Leading axes beyond four are refused where shapes are made (maxRank).
constexpr int batchAxes = 4;

std::int64_t matrices(const View& v) {
  std::int64_t n = 1;
  for (int d = 0; d < v.rank - 2; d++) n *= v.dims[d];
  return n;
}

MatmulOperand operandOf(const View& v) {
  MatmulOperand o{v.data, v.back(1), v.back(1) * v.back(2), {}, false};
  o.packed = readsPacked(v.dtype, v.data, o.stride) && readsPacked(v.dtype, v.data, o.matrix);
  std::int64_t step = 1;
  for (int i = 3; i <= v.rank; i++) {
    o.steps[batchAxes + 2 - i] = v.back(i) == 1 ? 0 : step;
    step *= v.back(i);
  }
  return o;
}

Kernel& kernelFor(bool large, bool transA, bool transB, DType dtype) {
  static Kernels kernels[2][2][2] = {{{{images::matmul, "matmulSmall"}, {images::matmul, "matmulSmallB"}},
                                      {{images::matmul, "matmulSmallA"}, {images::matmul, "matmulSmallAB"}}},
                                     {{{images::matmul, "matmulLarge"}, {images::matmul, "matmulLargeB"}},
                                      {{images::matmul, "matmulLargeA"}, {images::matmul, "matmulLargeAB"}}}};
  return kernels[large ? 1 : 0][transA ? 1 : 0][transB ? 1 : 0][dtype];
}

}  // namespace

KERNEL(matmul, F32 | BF16)(const MatmulArgs& s) {
  if (s.c.size() == 0 || cublasLtMatmul(s)) return;
  std::int64_t batches = matrices(s.c);
  MatmulParams p{};
  p.a = operandOf(s.a);
  p.b = operandOf(s.b);
  for (int d = 0; d < batchAxes; d++) p.batchDims[d] = 1;
  for (int i = 3; i <= s.c.rank; i++) p.batchDims[batchAxes + 2 - i] = s.c.back(i);
  std::int64_t rows = s.c.back(2);
  if (matrices(s.a) == batches && matrices(s.b) == 1 && !s.transA) {
    // B serves all: the rows of all A's are the rows of one.
    rows *= batches;
    batches = 1;
    for (std::int64_t& extent : p.batchDims) extent = 1;
  }
  const std::int64_t columns = s.c.back(1);
  const ProductPlan plan = planProduct(s.c.dtype, batches, rows, columns, s.a.back(s.transA ? 2 : 1));
  p.grid = plan.grid;
  p.out.c = s.c.data;
  p.out.bias = s.bias.present ? s.bias.data : nullptr;
  p.out.partial = partialResults(plan, batches);
  p.out.batchStride = rows * columns;
  p.out.rowStride = columns;
  p.out.accumulate = s.accumulate;
  launch(kernelFor(plan.large, s.transA, s.transB, s.c.dtype), plan.blocks, plan.threads, p);
  sumPieces(s.c.dtype, plan, p.out, batches);
}

}  // namespace secateur::cuda
