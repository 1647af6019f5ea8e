#include "threshold.h"

#include <algorithm>
#include <vector>

#include "host/launch.h"
#include "host/threshold.h"
#include "ops/threshold.h"

CUDA_IMAGE(threshold)

namespace secateur::cuda {

KERNEL(threshold, F32)(const ThresholdArgs& a) {
  static Kernel kernel(images::threshold, "threshold");
  const std::size_t count = a.w.size();
  if (count == 0) return;
  const std::vector<ThresholdLayer> layers = thresholdLayers(a.w, a.k);
  const ThresholdMemory memory(count);
  ThresholdParams p{};
  p.layers = table(layers.data(), count);
  p.count = static_cast<int>(count);
  p.chunks = chunksOf(layers);
  p.work = memory.work;
  p.tickets = memory.tickets;
  p.finished = memory.finished;
  p.out = {a.state.present ? a.state.as<ThresholdBracket>() : nullptr, a.levels.as<float>(),
           a.counts.as<std::int32_t>()};
  // Four blocks fill a multiprocessor's loads.
  launch(kernel, std::min<std::int64_t>(p.chunks, std::int64_t{4} * multiprocessors()), chunkThreads, p);
}

}  // namespace secateur::cuda
