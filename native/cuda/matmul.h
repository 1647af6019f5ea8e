// Parameters of the matrix product.
#pragma once
#include "gpu/product.h"

namespace secateur::cuda {

// Leading axes of an operand that broadcast: matrix q of the result uses matrix sum of index * stride.
struct MatmulOperand {
  const void* data;
  std::int64_t stride;  // from line to line, in elements
  std::int64_t matrix;  // elements of one matrix
  std::int64_t steps[4];
  bool packed;
};

struct MatmulParams {
  ProductGrid grid;
  ProductOutput out;
  MatmulOperand a, b;
  std::int64_t batchDims[4];  // outermost first, filled up with ones
};

}  // namespace secateur::cuda
