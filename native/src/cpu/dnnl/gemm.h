// Matrix products through oneDNN on plain row-major memory.
//
//   c[i,j] = alpha * sum_k op(a)[i,k] op(b)[k,j] + beta * c[i,j]      op(a) is rows x depth, op(b) is depth x columns
//
// A transposed operand is stored the other way round (`a` as depth x rows). Leading dimensions are the stored row's
// length, counted in elements. Sums are in f32. Errors are oneDNN's own (`dnnl::error`), or std::bad_alloc.
#pragma once

#include <cstdint>

#include "core/bf16.h"

namespace secateur::onednn {

struct GemmShape {
  std::int64_t rows, columns, depth;
  bool transA = false, transB = false;
  std::int64_t batch = 1;
};

/// One f32 product.
void sgemm(bool transA, bool transB, std::int64_t rows, std::int64_t columns, std::int64_t depth, float alpha,
           const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);

/// `batch` dense f32 products, each operand's matrices one behind the other: c = op(a) op(b) (+ bias[columns]) (+ c
/// when `accumulate`). `bias` may be null.
void gemm(const GemmShape& shape, const float* a, const float* b, const float* bias, float* c, bool accumulate);

/// The same with bf16 operands and C bf16 or f32; the bias is f32. oneDNN reads transposed operands through their
/// strides at nearly full speed here (unlike its f32 matmul, which is why f32 goes through sgemm).
template <class C>
void gemm(const GemmShape& shape, const bf16* a, const bf16* b, const float* bias, C* c);

}  // namespace secateur::onednn
