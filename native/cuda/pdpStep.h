#pragma once
#include "gpu/clip.h"
#include "gpu/optimizer.h"
#include "gpu/pdp.h"
#include "gpu/threshold.h"

namespace secateur::cuda {

struct PdpStepLayer {
  OptimizerRow update;
  ThresholdLayer select;
  void* y;
  std::int64_t firstChunk;
};

// A run of tickets: the chunks of one layer, to be updated or to be masked. firstChunk is its first ticket.
struct PdpStepRun {
  std::int64_t firstChunk;
  int layer;
  bool masks;
};

template <class Numbers>
struct PdpStepParams {
  const PdpStepLayer* layers;
  const PdpStepRun* runs;
  int count, runCount;
  unsigned chunks;  // of all layers
  unsigned* tickets;
  unsigned* settled;  // layers finished in their first round
  ThresholdWork* work;
  ThresholdOutput out;  // at first the thresholds of this step, then the next ones
  PdpTemperature tau;
  Clip clip;
  Numbers numbers;
};

}  // namespace secateur::cuda
