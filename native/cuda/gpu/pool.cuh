// Pooling: a thread has one pixel of the result and a pack of its channels, so that neighbours read neighbours. The
// gradient is gathered: every pixel of dx asks the windows that cover it, and nobody adds to another's.
#pragma once
#include "gpu/packs.cuh"
#include "gpu/pool.h"

namespace secateur::cuda {

// Calls visit(where in `from`, row, column, where in `to`) for the pixels of this thread.
template <int N, class Visit>
SECATEUR_GPU void forPixels(const PoolParams& p, Visit visit) {
  for (std::int64_t i = threadIndex(); i < p.walk.n; i += threadTotal()) {
    const auto o = offsetsOf<3>(p.walk, i);
    visit(o.at[0], static_cast<int>(o.at[1]), static_cast<int>(o.at[2]), i * N);
  }
}

}  // namespace secateur::cuda

// Where pixels have no whole number of aligned packs, a thread has one channel.
#define SECATEUR_POOL(name, f)                                                               \
  extern "C" {                                                                               \
  __global__ void name##_f32(const __grid_constant__ PoolParams p) { f<4, float>(p); }       \
  __global__ void name##_bf16(const __grid_constant__ PoolParams p) { f<8, bf16>(p); }       \
  __global__ void name##Single_f32(const __grid_constant__ PoolParams p) { f<1, float>(p); } \
  __global__ void name##Single_bf16(const __grid_constant__ PoolParams p) { f<1, bf16>(p); } \
  }
