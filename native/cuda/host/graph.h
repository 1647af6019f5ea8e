// Captured steps: a recorded sequence of launches and copies that is replayed with one call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "host/live.h"

namespace secateur::cuda {

class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void begin();
  // Gives the number of recorded nodes.
  std::size_t end();
  // Leaves a capture that failed.
  void abandon() noexcept;
  void beginRefresh();
  LiveBlock& block() { return block_; }
  void replay();

 private:
  LiveBlock block_;
  CUgraph graph_ = nullptr;
  CUgraphExec exec_ = nullptr;
};

// The number of a new captured step, and the step of a number.
std::uint32_t addGraph();
Graph& graphOf(std::uint32_t number);
void removeGraph(std::uint32_t number);

}  // namespace secateur::cuda
