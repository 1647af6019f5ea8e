#pragma once
#include <cstdint>

namespace secateur::cuda {

// loss = sum of each / sum of weights; without weights: / count.
struct LossTotalParams {
  const float* each;
  const float* weights;
  std::int64_t n;
  float count;
  float* loss;
  float* divisor;  // gets what was divided by, unless null
};

}  // namespace secateur::cuda
