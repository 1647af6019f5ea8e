// Losses that are a sum over elements.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// Elements and threads of a block, whatever the device.
constexpr std::int64_t lossChunk = 4096;
constexpr int lossThreads = 256;

struct ElementLossParams {
  const void* x;
  const void* target;
  const float* weight;   // repeated over the elements; null: 1
  std::int64_t columns;  // of weight
  std::int64_t n;
  float* loss;  // of each element, or of each chunk
  bool each;
};

struct ElementLossGradParams {
  const void* x;
  const void* target;
  const float* weight;
  std::int64_t columns;
  std::int64_t n;
  const float* g;
  bool each;  // g has a number for each element
  float scale;
  void* dx;
};

}  // namespace secateur::cuda
