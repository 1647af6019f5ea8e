#include "vendor/matmul.h"

#include "vendor/product.h"

namespace secateur::cuda {

namespace {

std::int64_t matricesOf(const View& v) {
  std::int64_t n = 1;
  for (int i = 0; i < v.rank - 2; i++) n *= v.dims[i];
  return n;
}

// False for batches that broadcast along some axes only, and for products with nothing to add up.
bool shapeOf(const MatmulArgs& a, ProductShape& s) {
  s.dtype = a.c.dtype;
  s.rows = a.c.back(2);
  s.columns = a.c.back(1);
  s.depth = a.a.back(a.transA ? 2 : 1);
  s.batch = matricesOf(a.c);
  s.transA = a.transA;
  s.transB = a.transB;
  s.bias = a.bias.present;
  s.accumulate = a.accumulate;
  const std::int64_t ofA = matricesOf(a.a), ofB = matricesOf(a.b);
  if (a.c.size() == 0 || s.depth == 0) return false;
  if ((ofA != s.batch && ofA != 1) || (ofB != s.batch && ofB != 1)) return false;
  if (ofB == 1 && !s.transA && ofA == s.batch) {
    // The rows of all a's are the rows of one.
    s.rows *= s.batch;
    s.batch = 1;
  }
  s.strideA = ofA == 1 ? 0 : s.rows * s.depth;
  s.strideB = ofB == 1 ? 0 : s.depth * s.columns;
  return true;
}

}  // namespace

bool cublasLtMatmul(const MatmulArgs& a) {
  ProductShape s;
  return cublasLtAvailable() && shapeOf(a, s) &&
         cublasLtProduct(s, {a.a.data, a.b.data, a.bias.data, a.c.data, nullptr});
}

}  // namespace secateur::cuda
