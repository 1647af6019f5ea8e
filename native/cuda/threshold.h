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

}  // namespace secateur::cuda
