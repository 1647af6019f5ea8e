#pragma once
#include "gpu/columns.h"
#include "gpu/lines.h"

namespace secateur::cuda {

struct LayerNormParams {
  const void* x;
  void* y;
  Lines lines;
  const float* weight;  // or null
  const float* bias;    // or null
  float* mean;
  float* rstd;
  float eps;
};

struct LayerNormGradParams {
  const void* x;
  const void* g;
  void* dx;
  Lines lines;
  std::int64_t chunk;   // lines of a block
  const float* weight;  // or null
  const float* mean;
  const float* rstd;
  float* partial;  // of a block: sums of g h, and of g
};

struct LayerNormTotalsParams {
  const float* partial;
  std::int64_t chunks;
  std::int64_t n;
  float* dweight;
  float* dbias;
};

}  // namespace secateur::cuda
