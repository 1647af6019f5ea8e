// relu and its gradient. `x <= 0` is false for NaN, so that NaN passes; -0 becomes 0.
#include "relu.h"

#include "gpu/element.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void relu(const ReluParams& p) {
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.y), [](float x) { return x <= 0 ? 0.0f : x; }, static_cast<const T*>(p.x));
}

template <class T>
SECATEUR_GPU void reluGrad(const ReluGradParams& p) {
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.dx), [](float y, float g) { return y <= 0 ? 0.0f : g; }, static_cast<const T*>(p.y),
      static_cast<const T*>(p.g));
}

extern "C" {
__global__ void relu_f32(const __grid_constant__ ReluParams p) { relu<float>(p); }
__global__ void relu_bf16(const __grid_constant__ ReluParams p) { relu<bf16>(p); }
__global__ void reluGrad_f32(const __grid_constant__ ReluGradParams p) { reluGrad<float>(p); }
__global__ void reluGrad_bf16(const __grid_constant__ ReluGradParams p) { reluGrad<bf16>(p); }
}

}  // namespace secateur::cuda
