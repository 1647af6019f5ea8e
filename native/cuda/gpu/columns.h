#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// A matrix whose columns are channels. Its rows are cut into chunks by the shape alone.
struct Columns {
  std::int64_t rows;
  std::int64_t channels;
  std::int64_t chunk;  // rows
  std::int64_t chunks;
};

constexpr unsigned tileThreads = 256;
// Threads side by side, where each has one channel and where it has a pack of them: 128 bytes of a row either way, or
// one word a lane.
constexpr int tileLanes = 32;
constexpr int tilePacks = 8;
// Threads of a block that adds up what chunks have left, and how many channels it has.
constexpr unsigned partThreads = 512;
constexpr int partChannels = 32;

}  // namespace secateur::cuda
