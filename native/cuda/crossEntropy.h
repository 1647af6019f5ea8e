#pragma once
#include "gpu/classes.h"

namespace secateur::cuda {

struct CrossEntropyParams {
  const void* x;
  Lines lines;
  ClassTargets targets;
  float smoothing;
  float* stats;    // two a row: the largest logit, the logarithm of the sum of exponentials from there
  float* each;     // a row's loss
  float* weights;  // a row's weight, unless null
};

struct CrossEntropyGradParams {
  const void* x;
  Lines lines;
  ClassTargets targets;
  float smoothing;
  const float* stats;
  const float* g;
  bool perRow;           // g has a number for each row
  const float* divisor;  // null: 1
  void* dx;
};

}  // namespace secateur::cuda
