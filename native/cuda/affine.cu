// A tensor times a number plus a number, and a tensor plus a multiple of another.
#include "affine.h"

#include "gpu/broadcast.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void affine(const AffineParams& p) {
  const float scale = p.scale, shift = p.shift;
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.y), [=](float x) { return fmaf(x, scale, shift); }, static_cast<const T*>(p.x));
}

template <class T>
SECATEUR_GPU void addScaled(const AddScaledParams& p) {
  const float scale = p.scale;
  const BinaryParams& o = p.operands;
  broadcast2(o.index, o.same, static_cast<const T*>(o.a), static_cast<const T*>(o.b), static_cast<T*>(o.y),
             [=](T a, T b) { return fromFloat<T>(fmaf(scale, toFloat(b), toFloat(a))); });
}

extern "C" {
__global__ void affine_f32(const __grid_constant__ AffineParams p) { affine<float>(p); }
__global__ void affine_bf16(const __grid_constant__ AffineParams p) { affine<bf16>(p); }
__global__ void addScaled_f32(const __grid_constant__ AddScaledParams p) { addScaled<float>(p); }
__global__ void addScaled_bf16(const __grid_constant__ AddScaledParams p) { addScaled<bf16>(p); }
}

}  // namespace secateur::cuda
