// Limits from below and above. Comparisons are false for NaN, which passes.
#include "clamp.h"

#include "gpu/element.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void clamp(const ClampParams& p) {
  const float low = p.low, high = p.high;
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.y), [=](float x) { return x < low    ? low
                                                       : x > high ? high
                                                                  : x; },
      static_cast<const T*>(p.x));
}

template <class T>
SECATEUR_GPU void clampGrad(const ClampParams& p) {
  const float low = p.low, high = p.high;
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.y), [=](float x, float g) { return x >= low && x <= high ? g : 0.0f; },
      static_cast<const T*>(p.x), static_cast<const T*>(p.g));
}

extern "C" {
__global__ void clamp_f32(const __grid_constant__ ClampParams p) { clamp<float>(p); }
__global__ void clamp_bf16(const __grid_constant__ ClampParams p) { clamp<bf16>(p); }
__global__ void clamp_i32(const __grid_constant__ ClampParams p) {
  const auto low = static_cast<std::int32_t>(static_cast<std::int64_t>(p.lowInteger));
  const auto high = static_cast<std::int32_t>(static_cast<std::int64_t>(p.highInteger));
  mapStored<4>(
      p.n, static_cast<std::int32_t*>(p.y), [=](std::int32_t x) { return x < low    ? low
                                                                         : x > high ? high
                                                                                    : x; },
      static_cast<const std::int32_t*>(p.x));
}
__global__ void clampGrad_f32(const __grid_constant__ ClampParams p) { clampGrad<float>(p); }
__global__ void clampGrad_bf16(const __grid_constant__ ClampParams p) { clampGrad<bf16>(p); }
}

}  // namespace secateur::cuda
