#include "vendor/linearActivation.h"

#include "vendor/product.h"

namespace secateur::cuda {

namespace {

ProductShape shapeOf(const View& weight, const View& bias, const View& y) {
  ProductShape s;
  s.dtype = y.dtype;
  s.columns = weight.dims[0];
  s.depth = weight.dims[1];
  s.rows = y.size() / s.columns;
  s.transB = true;
  s.bias = bias.present;
  return s;
}

}  // namespace

bool cublasLtLinear(const View& x, const View& weight, const View& bias, const View& y) {
  const ProductShape s = shapeOf(weight, bias, y);
  return s.depth > 0 && cublasLtProduct(s, {x.data, weight.data, bias.data, y.data, nullptr});
}

bool cublasLtLinearGeluTanh(const LinearGeluArgs& a) {
  ProductShape s = shapeOf(a.weight, a.bias, a.y);
  s.geluTanh = true;
  s.keep = a.z.present;
  return s.depth > 0 && cublasLtProduct(s, {a.x.data, a.weight.data, a.bias.data, a.y.data, a.z.data});
}

}  // namespace secateur::cuda
