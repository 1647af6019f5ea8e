#pragma once
#include <cstdint>

#include "gpu/indices.h"
#include "gpu/strided.h"

namespace secateur::cuda {

// y[i] = x[place of i with the axis replaced by index[i]]; operand 0 of `walk` is x without the axis.
struct GatherParams {
  const void* x;
  const std::int32_t* index;
  void* y;
  Strided walk;
  std::int64_t step;  // of the axis, in x
  IndexCheck check;
};

// sum[place] += src[i] along the fibres of the index.
struct ScatterParams {
  const void* src;
  const std::int32_t* index;
  float* sum;
  Strided fibres;       // operand 0: in the index, operand 1: in the sum
  std::int64_t length;  // entries of a fibre
  std::int64_t own;     // between them, in the index
  std::int64_t step;    // of the axis, in the sum
  IndexCheck check;
};

}  // namespace secateur::cuda
