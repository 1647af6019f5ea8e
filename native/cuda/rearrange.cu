// Copying between two arrangements of the same elements, moved by their size. The general kernel writes in order and
// reads wherever an element lies. Where runs of one side lie across the other's, tiles of 32 x 32 go through shared
// memory, so that both sides move whole lines; a column more than needed keeps the lanes off each other's banks.
#include "gpu/rearrange.h"

#include "gpu/element.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void rearrange(const RearrangeParams& p) {
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal()) {
    const auto o = offsetsOf<2>(p.index, i);
    static_cast<T*>(p.to)[o.at[0]] = static_cast<const T*>(p.from)[o.at[1]];
  }
}

constexpr int side = 32;
constexpr int threadRows = 8;

template <class T>
SECATEUR_GPU void transpose(const TransposeParams& p, T (&tile)[side][side + 1]) {
  const std::int64_t across = (p.columns + side - 1) / side;
  const std::int64_t tiles = across * ((p.rows + side - 1) / side);
  const int lane = static_cast<int>(threadIdx.x) % side;
  const int first = static_cast<int>(threadIdx.x) / side;
  for (std::int64_t t = blockIdx.x; t < tiles * p.outer.n; t += gridDim.x) {
    const auto o = offsetsOf<2>(p.outer, t / tiles);
    const std::int64_t row = t % tiles / across * side;
    const std::int64_t column = t % tiles % across * side;
    const T* from = static_cast<const T*>(p.from) + o.at[1];
    T* to = static_cast<T*>(p.to) + o.at[0];
    for (int k = first; k < side; k += threadRows) {
      if (column + k < p.columns && row + lane < p.rows) tile[k][lane] = from[(column + k) * p.fromColumn + row + lane];
    }
    __syncthreads();
    for (int k = first; k < side; k += threadRows) {
      if (row + k < p.rows && column + lane < p.columns) to[(row + k) * p.toRow + column + lane] = tile[lane][k];
    }
    __syncthreads();
  }
}

#define INSTANCES(size, T)                                                                                        \
  extern "C" __global__ void rearrange_##size(const __grid_constant__ RearrangeParams p) { rearrange<T>(p); }     \
  extern "C" __global__ void __launch_bounds__(256) transpose_##size(const __grid_constant__ TransposeParams p) { \
    __shared__ T tile[side][side + 1];                                                                            \
    transpose<T>(p, tile);                                                                                        \
  }

INSTANCES(4, std::uint32_t)
INSTANCES(2, std::uint16_t)
INSTANCES(1, std::uint8_t)

}  // namespace secateur::cuda
