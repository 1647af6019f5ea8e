// Adam and AdamW on many tensors in one launch. Bytes an element: weight, mean and square read and written (24),
// gradient read (4): 28, the floor.
#include "gpu/optimizer.cuh"

namespace secateur::cuda {

extern "C" __global__ void __launch_bounds__(chunkThreads)
    adam(const __grid_constant__ OptimizerParams<AdamNumbers> p) {
  updateRows<AdamRule>(p);
}

}  // namespace secateur::cuda
