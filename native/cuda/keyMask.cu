// A mask of keys for attention by a library that adds a bias to the scores. Softmax over hidden keys alone is uniform
// there; here a query that sees no key gives zeros, and has no gradient.
#include "gpu/keyMask.h"

#include "gpu/element.cuh"

namespace secateur::cuda {

extern "C" __global__ void keyBias(const __grid_constant__ KeyBiasParams p) {
  for (std::int64_t i = threadIndex(); i < p.n; i += threadTotal()) p.bias[i] = p.seen[i] != 0 ? 0.0f : hiddenBias;
}

// A warp a row.
extern "C" __global__ void blindQueries_bf16(const __grid_constant__ BlindQueryParams p) {
  const int lane = threadIdx.x & 31;
  for (std::int64_t row = threadIndex() / 32; row < p.rows; row += threadTotal() / 32) {
    if (!(p.lse[row] < 0.5f * hiddenBias)) continue;
    __syncwarp();
    if (lane == 0) p.lse[row] = __uint_as_float(0xff800000u);
    bf16* y = static_cast<bf16*>(p.y) + row * p.d;
    for (int c = lane; c < p.d; c += 32) y[c] = fromFloat<bf16>(0.0f);
  }
}

extern "C" __global__ void blindStats(const __grid_constant__ BlindStatsParams p) {
  const float none = __uint_as_float(0xff800000u);
  for (std::int64_t i = threadIndex(); i < p.n; i += threadTotal()) p.to[i] = p.lse[i] == none ? -none : p.lse[i];
}

}  // namespace secateur::cuda
