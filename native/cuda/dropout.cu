// Dropout. No mask is stored: forward and backward draw the same words.
#include "dropout.h"

#include "gpu/philox.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void dropout(const DropoutParams& p) {
  const auto* x = static_cast<const T*>(p.x);
  auto* y = static_cast<T*>(p.y);
  withWords(p.random, p.n, [=](std::int64_t i, std::uint32_t word) {
    y[i] = fromFloat<T>(word >> 8 >= p.least ? toFloat(x[i]) * p.scale : 0.0f);
  });
}

extern "C" {
__global__ void dropout_f32(const __grid_constant__ DropoutParams p) { dropout<float>(p); }
__global__ void dropout_bf16(const __grid_constant__ DropoutParams p) { dropout<bf16>(p); }
}

}  // namespace secateur::cuda
