// Picking along an axis, entry by entry, and adding back to where was picked.
//
// Adding back must not depend on chance: two fibres of an index never meet in the tensor it points into, and within a
// fibre one warp adds 32 entries at a time, those that hit the same place in order.
#include "gather.h"

#include "gpu/element.cuh"
#include "gpu/reduce.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void gather(const GatherParams& p) {
  for (std::int64_t i = threadIndex(); i < p.walk.n; i += threadTotal()) {
    const std::int32_t index = p.index[i];
    T value = {};
    if (p.check.holds(index, i)) value = static_cast<const T*>(p.x)[offsetsOf<1>(p.walk, i).at[0] + index * p.step];
    static_cast<T*>(p.y)[i] = value;
  }
}

template <class T>
SECATEUR_GPU void scatter(const ScatterParams& p) {
  const int lane = threadIdx.x & 31;
  for (std::int64_t f = threadIndex() >> 5; f < p.fibres.n; f += threadTotal() >> 5) {
    const auto o = offsetsOf<2>(p.fibres, f);
    for (std::int64_t first = 0; first < p.length; first += 32) {
      const std::int64_t at = o.at[0] + (first + lane) * p.own;
      std::int32_t index = -1;
      float value = 0;
      if (first + lane < p.length) {
        index = p.index[at];
        if (p.check.holds(index, at))
          value = toFloat(static_cast<const T*>(p.src)[at]);
        else
          index = -1;
      }
      const unsigned peers = __match_any_sync(allLanes, index);
      float sum = 0;
#pragma unroll 4
      for (int k = 0; k < 32; k++) {
        const float other = __shfl_sync(allLanes, value, k);
        if ((peers >> k & 1) != 0) sum += other;
      }
      if (index >= 0 && (peers & ((1u << lane) - 1)) == 0) p.sum[o.at[1] + index * p.step] += sum;
      __syncwarp();
    }
  }
}

extern "C" {
__global__ void gather_4(const __grid_constant__ GatherParams p) { gather<std::uint32_t>(p); }
__global__ void gather_2(const __grid_constant__ GatherParams p) { gather<std::uint16_t>(p); }
__global__ void gather_1(const __grid_constant__ GatherParams p) { gather<std::uint8_t>(p); }
__global__ void scatter_f32(const __grid_constant__ ScatterParams p) { scatter<float>(p); }
__global__ void scatter_bf16(const __grid_constant__ ScatterParams p) { scatter<bf16>(p); }
}

}  // namespace secateur::cuda
