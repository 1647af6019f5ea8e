#include "host/graph.h"

#include <map>
#include <string>

#include "core/error.h"
#include "host/device.h"

namespace secateur::cuda {

namespace {

std::map<std::uint32_t, std::unique_ptr<Graph>>& graphs() {
  static auto& all = *new std::map<std::uint32_t, std::unique_ptr<Graph>>();  // as the device
  return all;
}

}  // namespace

Graph::~Graph() {
  if (exec_ != nullptr) driver().graphExecDestroy(exec_);
  if (graph_ != nullptr) driver().graphDestroy(graph_);
}

void Graph::begin() {
  // Relaxed: scratch memory may have to grow for what the calls before did not do.
  check(driver().streamBeginCapture(Gpu::get().stream(), captureRelaxed), "cuStreamBeginCapture");
  setLiveMode(LiveMode::capture, &block_);
}

std::size_t Graph::end() {
  setLiveMode(LiveMode::eager, nullptr);
  check(driver().streamEndCapture(Gpu::get().stream(), &graph_), "cuStreamEndCapture");
  std::size_t nodes = 0;
  check(driver().graphGetNodes(graph_, nullptr, &nodes), "cuGraphGetNodes");
  check(driver().graphInstantiate(&exec_, graph_, 0), "cuGraphInstantiate");
  return nodes;
}

void Graph::abandon() noexcept {
  setLiveMode(LiveMode::eager, nullptr);
  driver().streamEndCapture(Gpu::get().stream(), &graph_);
}

void Graph::beginRefresh() {
  block_.beginWrite();
  setLiveMode(LiveMode::refresh, &block_);
}

void Graph::replay() {
  setLiveMode(LiveMode::eager, nullptr);
  block_.send();
  check(driver().graphLaunch(exec_, Gpu::get().stream()), "cuGraphLaunch");
}

std::uint32_t addGraph() {
  static std::uint32_t next = 1;
  graphs().emplace(next, std::make_unique<Graph>());
  return next++;
}

Graph& graphOf(std::uint32_t number) {
  const auto found = graphs().find(number);
  if (found == graphs().end()) throw Error("ERR_DISPOSED", "this captured step was disposed.");
  return *found->second;
}

void removeGraph(std::uint32_t number) { graphs().erase(number); }

}  // namespace secateur::cuda
