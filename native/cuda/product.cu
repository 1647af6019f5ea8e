// Adds up the pieces of a product whose depth was split (gpu/product.cuh): matrix products and convolutions alike.
#include "gpu/product.cuh"

namespace secateur::cuda {

extern "C" __global__ void productSum_f32(const __grid_constant__ ProductSumParams p) { sumPieces<float>(p); }
extern "C" __global__ void productSum_bf16(const __grid_constant__ ProductSumParams p) { sumPieces<bf16>(p); }

}  // namespace secateur::cuda
