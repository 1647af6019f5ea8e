// Parameters of products y = f(x weight^T + bias).
#pragma once
#include "gpu/product.h"

namespace secateur::cuda {

struct LinearParams {
  ProductGrid grid;
  ProductOutput out;
  const void* x;       // [rows, depth]
  const void* weight;  // [columns, depth]
  bool packedX, packedWeight;
};

}  // namespace secateur::cuda
