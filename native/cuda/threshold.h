#pragma once
#include "gpu/threshold.h"

namespace secateur::cuda {

struct ThresholdParams {
  const ThresholdLayer* layers;
  int count;
  unsigned chunks;  // of all layers
  ThresholdWork* work;
  unsigned* tickets;
  unsigned* finished;  // layers
  ThresholdOutput out;
};

// Scans a layer may need: its bracket, a wider one, a sample's, three of digits, the next key.
constexpr unsigned thresholdRounds = 7;

}  // namespace secateur::cuda
