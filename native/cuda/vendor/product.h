// Matrix products through cuBLASLt, with what may follow the sum.
#pragma once
#include <cstdint>
#include <vector>

#include "core/view.h"

namespace secateur::cuda {

// c [rows, columns] = op(a) op(b) (+ bias[columns]) (+ c), row-major, `batch` times; then gelu by tanh, the one form
// that cuBLASLt has, and with `keep` also what it was applied to.
struct ProductShape {
  DType dtype = DType::f32;
  std::int64_t rows = 0, columns = 0, depth = 0, batch = 1;
  std::int64_t strideA = 0, strideB = 0;  // from matrix to matrix; 0 when all share one
  bool transA = false, transB = false, bias = false, accumulate = false;
  bool geluTanh = false, keep = false;

  std::vector<std::int64_t> key() const;
};

struct ProductMemory {
  const void* a;
  const void* b;
  const void* bias;  // when the shape has one
  void* c;
  void* before;  // likewise what is kept
};

bool cublasLtAvailable();
// False when cuBLASLt is not there or has no kernel for it; then nothing was queued.
bool cublasLtProduct(const ProductShape& shape, const ProductMemory& memory);

}  // namespace secateur::cuda
