// Exactly k entries of smallest magnitude dropped: those below a_k and the first `ties` of magnitude a_k. As a mask of
// zeros and ones, or applied. Compares the bits of magnitudes, so that NaN counts as the largest.
//
// A first pass drops what lies below and counts, by chunks, the entries of magnitude a_k; as a rule there is one in
// all. A second looks again at the chunks that have some, in order, and drops the first ones. Bytes an element: 4 read,
// 4 written; the floor, but for the 64 KiB of each chunk with a tie.
#include "hardMask.h"

#include "gpu/element.cuh"
#include "gpu/reduce.cuh"
#include "gpu/rows.h"
#include "gpu/select.cuh"

namespace secateur::cuda {

struct Cut {
  bool none;  // nothing goes
  unsigned key;
  int ties;

  SECATEUR_GPU explicit Cut(const HardMaskParams& p) {
    const std::int64_t layer = p.layer;
    key = keyOf(p.levels[3 * layer]);
    none = p.counts[2 * layer] == 0;
    ties = p.counts[2 * layer + 1];
  }
};

SECATEUR_GPU int lengthOf(const HardMaskParams& p, std::int64_t chunk) {
  const std::int64_t left = p.n - chunk * chunkSize;
  return static_cast<int>(left < chunkSize ? left : chunkSize);
}

// y may be w.
template <class Kept>
SECATEUR_GPU void dropBelow(const HardMaskParams& p, Kept kept) {
  __shared__ unsigned shared[chunkThreads / 32];
  const Cut cut(p);
  for (std::int64_t chunk = blockIdx.x; chunk < p.chunks; chunk += gridDim.x) {
    const float* w = p.w + chunk * chunkSize;
    float* y = p.y + chunk * chunkSize;
    const int length = lengthOf(p, chunk);
    unsigned equal = 0;
    const auto choose = [&](float x) {
      const unsigned key = keyOf(x);
      equal += key == cut.key ? 1 : 0;
      return !cut.none && key < cut.key ? 0.0f : kept(x);
    };
    int done = 0;
    if (aligned(16, p.w, p.y)) {
      done = length & ~3;
      for (int i = threadIdx.x * 4; i < done; i += chunkThreads * 4) {
        auto four = loadPack<float, 4>(w + i);
#pragma unroll
        for (int j = 0; j < 4; j++) four.at[j] = choose(four.at[j]);
        storePack(y + i, four);
      }
    }
    for (int i = done + threadIdx.x; i < length; i += chunkThreads) y[i] = choose(w[i]);
    equal = blockReduce(equal, Add(), 0u, shared);
    if (threadIdx.x == 0) p.equal[chunk] = cut.none ? 0 : equal;
  }
}

// The position of the `wanted`-th (from 1) entry with this key in a chunk: warp 0 walks.
SECATEUR_GPU int walkTo(const float* w, int length, unsigned key, int wanted, int* shared) {
  if (threadIdx.x < 32) {
    int seen = 0;
    for (int i = 0; i < length && seen < wanted; i += 32) {
      const int at = i + static_cast<int>(threadIdx.x);
      const bool equal = at < length && keyOf(w[at]) == key;
      const unsigned found = __ballot_sync(allLanes, equal);
      const int before = seen + __popc(found & ((1u << threadIdx.x) - 1));
      if (equal && before + 1 == wanted) *shared = at;
      seen += __popc(found);
    }
  }
  __syncthreads();
  return *shared;
}

extern "C" __global__ void __launch_bounds__(chunkThreads) dropTies(const __grid_constant__ HardMaskParams p) {
  __shared__ unsigned shared[chunkThreads / 32];
  __shared__ int walked;
  const Cut cut(p);
  for (std::int64_t chunk = blockIdx.x; chunk < p.chunks; chunk += gridDim.x) {
    const auto equal = static_cast<int>(p.equal[chunk]);
    if (equal == 0) continue;
    int before = 0;
    for (std::int64_t c = threadIdx.x; c < chunk; c += chunkThreads) before += static_cast<int>(p.equal[c]);
    before = static_cast<int>(blockReduce(static_cast<unsigned>(before), Add(), 0u, shared));
    if (before >= cut.ties) continue;
    const int length = lengthOf(p, chunk);
    const float* w = p.w + chunk * chunkSize;
    const int last = before + equal <= cut.ties ? length : walkTo(w, length, cut.key, cut.ties - before, &walked);
    __syncthreads();
    for (int i = threadIdx.x; i < length; i += chunkThreads) {
      if (keyOf(w[i]) == cut.key && i <= last) p.y[chunk * chunkSize + i] = 0;
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(chunkThreads) hardMask(const __grid_constant__ HardMaskParams p) {
  dropBelow(p, [](float) { return 1.0f; });
}
__global__ void __launch_bounds__(chunkThreads) applyHardMask(const __grid_constant__ HardMaskParams p) {
  dropBelow(p, [](float x) { return x; });
}
}

}  // namespace secateur::cuda
