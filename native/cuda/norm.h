#pragma once
#include "gpu/strided.h"

namespace secateur::cuda {

// dx from x, the norm y of its output and that output's scale.
struct NormGradParams {
  const void* x;
  const void* y;
  const float* scale;
  void* dx;
  Strided index;  // operand 0: the outputs, seen from x
};

// scale[k] from g[k], y[k] and, for the largest magnitude, how many hold it.
struct NormScaleParams {
  const void* g;
  const void* y;
  const float* ties;  // or null
  float* scale;
  std::int64_t n;
  bool divideByNorm;
};

}  // namespace secateur::cuda
