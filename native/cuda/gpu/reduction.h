// Reducing a tensor over some of its axes. Plain data, made by host/reduction.h.
#pragma once
#include <cstdint>

#include "gpu/strided.h"

namespace secateur::cuda {

struct ReductionParams {
  const void* x;
  const void* other;  // a second input where an op has one, indexed like the output
  void* y;
  void* second;     // a second output
  void* partial;    // states of the chunks, [chunks][outputs]
  Strided kept;     // operand 0: where an output's elements begin in x
  Strided reduced;  // operand 0: where element r of an output lies from there
  std::int64_t outputs;
  std::int64_t length;  // elements an output
  std::int64_t chunk;   // elements of one piece of work
  std::int64_t chunks;
  float scale;  // what the op makes of it
  bool accumulate;
};

}  // namespace secateur::cuda
