// Entries of an axis picked by a list of indices, and the sum of what came back for each.
//
// The sum must not depend on chance: each position finds the next one with its index, which makes a chain of the
// positions of every entry; the first of a chain adds it up in order, in f32. An entry that occurs once or never costs
// no more than its row.
#include "indexSelect.h"

#include "gpu/element.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void select(const IndexSelectParams& p) {
  const std::int64_t n = p.outer * p.count * p.inner;
  for (std::int64_t i = threadIndex(); i < n; i += threadTotal()) {
    const std::int64_t row = i / p.inner, column = i - row * p.inner;
    const std::int64_t outer = row / p.count, position = row - outer * p.count;
    const std::int32_t index = p.index[position];
    T value = {};
    if (p.check.holds(index, position))
      value = static_cast<const T*>(p.x)[(outer * p.check.extent + index) * p.inner + column];
    static_cast<T*>(p.y)[i] = value;
  }
}

template <class T>
SECATEUR_GPU void sumChains(const SumChainsParams& p) {
  const auto* g = static_cast<const T*>(p.g);
  auto* dx = static_cast<T*>(p.dx);
  // A block a position and outer index; only heads have work.
  for (std::int64_t b = blockIdx.x; b < p.outer * p.count; b += gridDim.x) {
    const std::int64_t outer = b / p.count, position = b - outer * p.count;
    if (p.head[position] == 0) continue;
    T* to = dx + (outer * p.extent + p.index[position]) * p.inner;
    for (std::int64_t c = threadIdx.x; c < p.inner; c += blockDim.x) {
      float sum = toFloat(to[c]);
      for (std::int64_t i = position; i >= 0; i = p.next[i]) sum += toFloat(g[(outer * p.count + i) * p.inner + c]);
      to[c] = fromFloat<T>(sum);
    }
  }
}

extern "C" {
__global__ void select_4(const __grid_constant__ IndexSelectParams p) { select<std::uint32_t>(p); }
__global__ void select_2(const __grid_constant__ IndexSelectParams p) { select<std::uint16_t>(p); }
__global__ void select_1(const __grid_constant__ IndexSelectParams p) { select<std::uint8_t>(p); }

__global__ void chain(const __grid_constant__ ChainParams p) {
  for (std::int64_t i = threadIndex(); i < p.count; i += threadTotal()) {
    const std::int32_t mine = p.index[i];
    const bool good = p.check.holds(mine, i);
    std::int64_t before = i - 1;
    while (before >= 0 && p.index[before] != mine) before--;
    std::int64_t after = i + 1;
    while (after < p.count && p.index[after] != mine) after++;
    p.head[i] = good && before < 0 ? 1 : 0;
    p.next[i] = after < p.count ? static_cast<std::int32_t>(after) : -1;
  }
}

__global__ void sumChains_f32(const __grid_constant__ SumChainsParams p) { sumChains<float>(p); }
__global__ void sumChains_bf16(const __grid_constant__ SumChainsParams p) { sumChains<bf16>(p); }
}

}  // namespace secateur::cuda
