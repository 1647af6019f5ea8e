#include "threshold.h"

#include <algorithm>
#include <vector>

#include "host/launch.h"
#include "ops/threshold.h"

CUDA_IMAGE(threshold)

namespace secateur::cuda {

KERNEL(threshold, F32)(const ThresholdArgs& a) {
  static Kernel kernel(images::threshold, "threshold");
  const std::size_t count = a.w.size();
  if (count == 0) return;
  std::int64_t room = 0;
  for (const View& w : a.w) room += candidateRoom(w.size());
  auto* candidates = scratch<unsigned>(room);
  std::vector<ThresholdLayer> layers(count);
  std::int64_t chunks = 0;
  for (std::size_t l = 0; l < count; l++) {
    const std::int64_t n = a.w[l].size();
    const auto own = static_cast<unsigned>(chunksOf(n));
    layers[l] = {a.w[l].as<float>(), n, a.k[l], chunks, own, static_cast<unsigned>(candidateRoom(n)), candidates};
    candidates += layers[l].room;
    chunks += own;
  }
  const std::size_t bytes = count * sizeof(ThresholdWork) + 2 * sizeof(unsigned);
  auto* tickets = static_cast<unsigned*>(scratchBytes(bytes));
  fillZero(tickets, bytes);
  ThresholdParams p{};
  p.layers = table(layers.data(), count);
  p.count = static_cast<int>(count);
  p.chunks = static_cast<unsigned>(chunks);
  p.work = reinterpret_cast<ThresholdWork*>(tickets + 2);
  p.tickets = tickets;
  p.finished = tickets + 1;
  p.out = {a.state.present ? a.state.as<ThresholdBracket>() : nullptr, a.levels.as<float>(),
           a.counts.as<std::int32_t>()};
  // Four blocks fill a multiprocessor's loads.
  launch(kernel, std::min<std::int64_t>(chunks, std::int64_t{4} * multiprocessors()), chunkThreads, p);
}

}  // namespace secateur::cuda
