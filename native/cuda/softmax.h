#pragma once
#include "gpu/lines.h"

namespace secateur::cuda {

// Along the last axis.
struct SoftmaxParams {
  const void* x;
  void* y;
  Lines lines;
};

struct SoftmaxGradParams {
  const void* y;
  const void* g;
  void* dx;
  Lines lines;
};

// Along another axis: [outer, n, inner].
struct SoftmaxAcrossParams {
  const void* x;
  const void* g;  // of the gradient
  void* y;
  std::int64_t outer, n, inner;
};

}  // namespace secateur::cuda
