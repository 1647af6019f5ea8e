#pragma once
#include <cstdint>

#include "gpu/pdp.h"

namespace secateur::cuda {

// A layer's row of what `threshold` found, read on the device: the host never waits for a threshold.
struct PdpRow {
  const float* levels;
  const std::int32_t* counts;
  Whole layer;
};

struct PdpWeightParams {
  const float* w;
  void* y;
  std::int64_t n;
  PdpRow row;
  PdpTemperature tau;
};

struct PdpWeightGradParams {
  const float* w;
  const void* g;
  float* dw;
  std::int64_t n;
  PdpRow row;
  PdpTemperature tau;
};

// The derivative through the threshold: what a block found in its chunk, then the sum of it all.
struct PdpThresholdGradParams {
  const float* w;
  const void* g;
  float* dw;
  std::int64_t n;
  PdpRow row;
  PdpTemperature tau;
  float* partial;     // one a chunk
  unsigned* holders;  // of magnitude a_k and a_(k+1): the flat index of the first, all bits turned; 0 = none
  std::int64_t chunks;
};

}  // namespace secateur::cuda
