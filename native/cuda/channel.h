#pragma once
#include "gpu/pdp.h"

namespace secateur::cuda {

struct ChannelNormGradParams {
  const float* w;
  const float* norm;
  const float* g;
  float* dw;
  std::int64_t channels;
  std::int64_t row;     // numbers a channel
  std::int64_t pieces;  // of a channel: a block's work
};

struct ChannelMaskParams {
  const float* norm;
  const float* g;  // unused forward
  float* y;
  std::int64_t n;
  const float* levels;
  const std::int32_t* counts;
  Whole layer;
  PdpTemperature tau;
};

}  // namespace secateur::cuda
