// Looking for infinities and NaN: a float is one of them when all bits of its exponent are set.
#include "gpu/element.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

SECATEUR_GPU bool finite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }

template <class T>
SECATEUR_GPU void isFinite(const UnaryParams& p) {
  mapStored<perPack<T>>(
      p.n, static_cast<std::uint8_t*>(p.y), [](T x) { return static_cast<std::uint8_t>(finite(toFloat(x))); },
      static_cast<const T*>(p.x));
}

// y is a counter of the numbers that are not finite.
template <class T>
SECATEUR_GPU void countInfinite(const UnaryParams& p) {
  const auto* x = static_cast<const T*>(p.x);
  std::uint32_t bad = 0;
  for (std::int64_t i = threadIndex(); i < p.n; i += threadTotal()) bad += finite(toFloat(x[i])) ? 0u : 1u;
  if (bad > 0) atomicAdd(static_cast<std::uint32_t*>(p.y), bad);
}

extern "C" {
__global__ void isFinite_f32(const __grid_constant__ UnaryParams p) { isFinite<float>(p); }
__global__ void isFinite_bf16(const __grid_constant__ UnaryParams p) { isFinite<bf16>(p); }
__global__ void countInfinite_f32(const __grid_constant__ UnaryParams p) { countInfinite<float>(p); }
__global__ void countInfinite_bf16(const __grid_constant__ UnaryParams p) { countInfinite<bf16>(p); }
__global__ void isZero(const __grid_constant__ UnaryParams p) {
  *static_cast<std::uint8_t*>(p.y) = *static_cast<const std::uint32_t*>(p.x) == 0 ? 1 : 0;
}
}

}  // namespace secateur::cuda
