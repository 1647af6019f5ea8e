// Stochastic gradient descent on many tensors in one launch. Bytes an element: weight read and written (8), gradient
// read (4), with momentum the velocity read and written (8): 12, or 20; the floor.
#include "gpu/optimizer.cuh"

namespace secateur::cuda {

extern "C" {
__global__ void __launch_bounds__(chunkThreads) sgdPlain(const __grid_constant__ OptimizerParams<SgdNumbers> p) {
  updateRows<SgdRule<false>>(p);
}
__global__ void __launch_bounds__(chunkThreads) sgdMomentum(const __grid_constant__ OptimizerParams<SgdNumbers> p) {
  updateRows<SgdRule<true>>(p);
}
}

}  // namespace secateur::cuda
