// Launching a product in tiles: which tiles, how many pieces, and the sum of the pieces.
#pragma once
#include <cstdint>

#include "gpu/product.h"
#include "host/launch.h"

namespace secateur::cuda {

// How a product is cut.
struct ProductPlan {
  ProductGrid grid;
  bool large = false;  // tiles of 128 x 128 instead of 64 x 64
  std::int64_t blocks = 0;
  unsigned threads = 0;
};
ProductPlan planProduct(DType dtype, std::int64_t batches, std::int64_t rows, std::int64_t columns, std::int64_t depth);

// Room for the partial results, if there are pieces.
float* partialResults(const ProductPlan& plan, std::int64_t batches);
// Adds them up; nothing when there are none. `after`: the kernel, where a function follows the sum.
void sumPieces(DType dtype, const ProductPlan& plan, const ProductOutput& out, std::int64_t batches,
               Kernels* after = nullptr);

// Whether lines of this length, `stride` elements apart, can be read 16 bytes at a time.
bool readsPacked(DType dtype, const void* data, std::int64_t stride);

}  // namespace secateur::cuda
