#pragma once
#include "gpu/strided.h"

namespace secateur::cuda {

// dx marks the elements of x that equal their output y; then the marked get their output's share.
struct ExtremeParams {
  const void* x;
  const void* y;
  const float* share;
  void* dx;
  Strided index;  // operand 0: the outputs, seen from x
};

}  // namespace secateur::cuda
