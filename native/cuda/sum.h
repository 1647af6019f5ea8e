#pragma once
#include "gpu/pointwise.h"

namespace secateur::cuda {

// Every element of y gets its element of a (which broadcasts) divided by n.
struct ShareParams {
  BinaryParams operands;
  float n;
};

}  // namespace secateur::cuda
