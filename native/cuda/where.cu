// Choosing between two tensors by a third. Elements are moved, not computed with: their size is all that matters.
#include "gpu/broadcast.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void choose(const TernaryParams& p) {
  broadcast3(p.index, p.same, static_cast<const std::uint8_t*>(p.a), static_cast<const T*>(p.b),
             static_cast<const T*>(p.c), static_cast<T*>(p.y),
             [](std::uint8_t condition, T a, T b) { return condition != 0 ? a : b; });
}

extern "C" {
__global__ void where_4(const __grid_constant__ TernaryParams p) { choose<std::uint32_t>(p); }
__global__ void where_2(const __grid_constant__ TernaryParams p) { choose<std::uint16_t>(p); }
__global__ void where_1(const __grid_constant__ TernaryParams p) { choose<std::uint8_t>(p); }
}

}  // namespace secateur::cuda
