#pragma once
#include "gpu/classes.h"

namespace secateur::cuda {

struct NllLossParams {
  const void* x;
  std::int64_t rows, classes;
  ClassTargets targets;
  float* each;
  float* weights;  // a row's weight, unless null
};

struct NllLossGradParams {
  Lines lines;
  ClassTargets targets;
  const float* g;
  bool perRow;           // g has a number for each row
  const float* divisor;  // null: 1
  void* dx;
};

}  // namespace secateur::cuda
