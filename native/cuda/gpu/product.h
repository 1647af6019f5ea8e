// A matrix product in tiles: what the host and the kernels share. The blocks of a launch are numbered through batches,
// pieces of the depth, and tiles of the result.
#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct ProductGrid {
  std::int64_t rows = 0, columns = 0, depth = 0;
  std::int64_t tilesDown = 0, tilesAcross = 0;
  // A long depth over few tiles is split, so that the device is full: each piece gives a partial result, and a second
  // kernel adds them up in order.
  std::int64_t splits = 1, splitDepth = 0;
};

// Where a result goes: element (row, column) of batch b stands at b * batchStride + row * rowStride + column.
struct ProductOutput {
  void* c = nullptr;
  const void* bias = nullptr;  // of the columns, or null
  float* partial = nullptr;    // [batches * splits, rows, columns] in place of c
  std::int64_t batchStride = 0, rowStride = 0, biasStride = 0;
  bool accumulate = false;  // add to what is there
  bool relu = false;        // of the sum with its bias
  void* before = nullptr;   // where a kernel with another function keeps what it is applied to, laid out as c; or null
};

struct ProductSumParams {
  ProductGrid grid;
  ProductOutput out;
  std::int64_t batches;
};

}  // namespace secateur::cuda
