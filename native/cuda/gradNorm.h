#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct SquaresParams {
  const float* g;
  std::int64_t n;
  float* partial;  // three a chunk
};

struct NormOfParams {
  const float* partial;
  std::int64_t n;
  float* norm;
};

struct ClipParams {
  const float* norm;
  float* g;
  std::int64_t n;
  Number maxNorm;
};

}  // namespace secateur::cuda
