#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// Gradients are scaled so that their norm is at most maxNorm.
struct Clip {
  const float* norm = nullptr;  // null: they stay
  Number maxNorm;

#if defined(__CUDACC__)
  // min(1, maxNorm / (norm + 1e-6)); a NaN norm makes it NaN.
  SECATEUR_GPU float factor() const {
    if (norm == nullptr) return 1;
    const float ratio = __fdiv_rn(maxNorm, __fadd_rn(*norm, 1e-6f));
    return ratio >= 1 ? 1.0f : ratio;
  }
#endif
};

}  // namespace secateur::cuda
