// How the losses of rows, or of chunks of elements, become one: by one block, in a fixed order.
#include "gpu/lossTotal.h"
#include "gpu/reduce.cuh"

namespace secateur::cuda {

SECATEUR_GPU float sumOf(const float* x, std::int64_t n, float* shared) {
  float sum = 0;
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  return blockReduce(sum, Add{}, 0.0f, shared);
}

extern "C" __global__ void lossTotal(const __grid_constant__ LossTotalParams p) {
  __shared__ float shared[32];
  const float total = sumOf(p.each, p.n, shared);
  const float count = p.weights != nullptr ? sumOf(p.weights, p.n, shared) : p.count;
  if (threadIdx.x != 0) return;
  *p.loss = total / count;
  if (p.divisor != nullptr) *p.divisor = count;
}

}  // namespace secateur::cuda
