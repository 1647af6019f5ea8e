#pragma once
#include <cstdint>

namespace secateur::cuda {

// What is added to the score of a key that is not to be seen: the exponential of any difference with it is 0, and room
// is left below for the score itself.
constexpr float hiddenBias = -1e38f;

// bias = seen ? 0 : hiddenBias, n elements.
struct KeyBiasParams {
  const std::uint8_t* seen;
  float* bias;
  std::int64_t n;
};

// Of queries that saw hidden keys alone, whose logarithm of a sum of exponentials says so.
struct BlindQueryParams {
  void* y;     // rows of d: becomes 0
  float* lse;  // becomes -infinity
  std::int64_t rows;
  int d;
};

// to = lse, but infinity where it is -infinity: against that every probability is 0.
struct BlindStatsParams {
  const float* lse;
  float* to;
  std::int64_t n;
};

}  // namespace secateur::cuda
