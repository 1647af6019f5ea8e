// The rows and the memory of a launch that selects thresholds.
#pragma once
#include <vector>

#include "core/view.h"
#include "gpu/threshold.h"
#include "host/launch.h"

namespace secateur::cuda {

// A row for each weight, with scratch memory for its candidates.
inline std::vector<ThresholdLayer> thresholdLayers(const List<View>& w, const List<std::int64_t>& k) {
  std::int64_t room = 0;
  for (const View& one : w) room += candidateRoom(one.size());
  auto* candidates = scratch<unsigned>(room);
  std::vector<ThresholdLayer> layers(w.size());
  std::int64_t chunks = 0;
  for (std::size_t l = 0; l < layers.size(); l++) {
    const std::int64_t n = w[l].size();
    const auto own = static_cast<unsigned>(chunksOf(n));
    layers[l] = {w[l].as<float>(), n, k[l], chunks, own, static_cast<unsigned>(candidateRoom(n)), candidates};
    candidates += layers[l].room;
    chunks += own;
  }
  return layers;
}

inline unsigned chunksOf(const std::vector<ThresholdLayer>& layers) {
  return static_cast<unsigned>(layers.back().firstChunk) + layers.back().chunks;
}

// Two counters, and what is known of each layer: all zero.
struct ThresholdMemory {
  unsigned* tickets;
  unsigned* finished;
  ThresholdWork* work;

  explicit ThresholdMemory(std::size_t layers) {
    const std::size_t bytes = layers * sizeof(ThresholdWork) + 2 * sizeof(unsigned);
    tickets = static_cast<unsigned*>(scratchBytes(bytes));
    finished = tickets + 1;
    work = reinterpret_cast<ThresholdWork*>(tickets + 2);
    fillZero(tickets, bytes);
  }
};

}  // namespace secateur::cuda
