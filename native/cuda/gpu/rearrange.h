// Copying between two arrangements of the same elements: what permute, slice, concat and pad come down to.
#pragma once
#include <cstdint>

#include "gpu/strided.h"

namespace secateur::cuda {

// Element i of the index space goes from operand 1's place to operand 0's.
struct RearrangeParams {
  void* to;
  const void* from;
  Strided index;
};

// The same where one axis has unit stride on one side and another axis on the other: 32 x 32 tiles.
struct TransposeParams {
  void* to;
  const void* from;
  std::int64_t rows;        // along which `from` runs
  std::int64_t columns;     // along which `to` runs
  std::int64_t toRow;       // stride in `to` of a step along rows
  std::int64_t fromColumn;  // stride in `from` of a step along columns
  Strided outer;            // the other axes
};

}  // namespace secateur::cuda
