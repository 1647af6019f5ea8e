#pragma once
#include "gpu/strided.h"

namespace secateur::cuda {

struct VarGradParams {
  const void* x;
  const float* mean;
  const void* g;
  const void* std;  // of the standard deviation's gradient, else null
  void* dx;
  Strided index;  // operand 0: the outputs, seen from x
  float divisor;
};

}  // namespace secateur::cuda
