// Sums, maxima and minima over the lanes of a warp and the threads of a block, in a fixed order.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

constexpr unsigned allLanes = 0xffffffffu;

struct Add {
  template <class T>
  SECATEUR_GPU T operator()(T a, T b) const {
    return a + b;
  }
};

// NaN wins, as in PyTorch.
struct MaxNaN {
  SECATEUR_GPU float operator()(float a, float b) const { return a != a || a > b ? a : b; }
};
struct MinNaN {
  SECATEUR_GPU float operator()(float a, float b) const { return a != a || a < b ? a : b; }
};

// Every lane gets the result. All 32 lanes take part.
template <class T, class Op>
SECATEUR_GPU T warpReduce(T x, Op op) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) x = op(x, __shfl_xor_sync(allLanes, x, offset));
  return x;
}

// Every thread gets the result. `shared` holds a value for each warp; all threads of the block take part, and
// blockDim.x is a multiple of 32. A barrier stands at the end, so that `shared` may be used again at once.
template <class T, class Op>
SECATEUR_GPU T blockReduce(T x, Op op, T identity, T* shared) {
  x = warpReduce(x, op);
  const int lane = threadIdx.x & 31;
  const int warp = threadIdx.x >> 5;
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  x = lane < blockDim.x >> 5 ? shared[lane] : identity;
  x = warpReduce(x, op);
  __syncthreads();
  return x;
}

}  // namespace secateur::cuda
