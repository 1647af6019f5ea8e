// RMSprop on many tensors in one launch. Bytes an element: weight and square read and written (16), gradient read (4);
// 8 more for the mean where it is centered, and for the velocity with momentum: 20, 28 or 36, the floor.
#include "gpu/optimizer.cuh"

namespace secateur::cuda {

using RmspropParams = OptimizerParams<RmspropNumbers>;

extern "C" {
__global__ void __launch_bounds__(chunkThreads) rmsprop(const __grid_constant__ RmspropParams p) {
  updateRows<RmspropRule<false, false>>(p);
}
__global__ void __launch_bounds__(chunkThreads) rmspropCentered(const __grid_constant__ RmspropParams p) {
  updateRows<RmspropRule<true, false>>(p);
}
__global__ void __launch_bounds__(chunkThreads) rmspropMomentum(const __grid_constant__ RmspropParams p) {
  updateRows<RmspropRule<false, true>>(p);
}
__global__ void __launch_bounds__(chunkThreads) rmspropCenteredMomentum(const __grid_constant__ RmspropParams p) {
  updateRows<RmspropRule<true, true>>(p);
}
}

}  // namespace secateur::cuda
