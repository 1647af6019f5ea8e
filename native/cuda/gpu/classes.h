// Rows of scores, each with a class number as its target.
#pragma once
#include <cstdint>

#include "gpu/indices.h"
#include "gpu/lines.h"

namespace secateur::cuda {

struct ClassTargets {
  const std::int32_t* target;
  const float* weight;  // of the classes; null: all 1
  std::int64_t ignore;
  IndexCheck check;

#if defined(__CUDACC__)
  SECATEUR_GPU float weightOf(std::int64_t k) const { return weight != nullptr ? weight[k] : 1.0f; }
  // The class of a row; -1 where the row is not scored, or where its target is no class.
  SECATEUR_GPU std::int32_t classOf(std::int64_t row) const {
    const std::int32_t y = target[row];
    return y != ignore && check.holds(y, row) ? y : -1;
  }
#endif
};

}  // namespace secateur::cuda
