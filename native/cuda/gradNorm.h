#pragma once
#include "gpu/clip.h"
#include "gpu/pdp.h"
#include "gpu/rows.h"

namespace secateur::cuda {

// One gradient of the list.
struct GradRow {
  const float* w;  // whose mask the gradient has yet to go through; null: it is what it is, in f32
  void* g;
  std::int64_t n;
  std::int64_t firstChunk;
  int layer;  // its thresholds
};

struct GradRows {
  const GradRow* rows;
  int count;
  std::int64_t chunks;
};

struct SquaresParams {
  GradRows grads;
  const float* levels;
  const std::int32_t* counts;
  PdpTemperature tau;
  float* partial;  // three a chunk
};

struct NormOfParams {
  const float* partial;
  std::int64_t n;
  float* norm;
};

struct ClipParams {
  GradRows grads;
  Clip clip;
};

}  // namespace secateur::cuda
