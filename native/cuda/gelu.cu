// gelu and its gradient, each in one pass, by the error function or by tanh.
#include "gpu/element.cuh"
#include "gpu/gelu.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

constexpr float normalPeak = 0x1.988454p-2f;  // 1 / sqrt(2 pi)

SECATEUR_GPU float exactSlope(float x) {
  return fmaf(x * normalPeak, expf(-0.5f * x * x), 0.5f * (1.0f + erff(x * rootHalf)));
}
SECATEUR_GPU float approximateSlope(float x) {
  const float t = tanhPart(x);
  const float inner = tanhSlope * fmaf(3.0f * cubic * x, x, 1.0f);
  return 0.5f * fmaf(x * fmaf(-t, t, 1.0f), inner, 1.0f + t);
}

template <class T, class F>
SECATEUR_GPU void forward(const UnaryParams& p, F f) {
  mapElements<perPack<T>>(p.n, static_cast<T*>(p.y), f, static_cast<const T*>(p.x));
}
template <class T, class F>
SECATEUR_GPU void backward(const SlopeParams& p, F f) {
  mapElements<perPack<T>>(
      p.n, static_cast<T*>(p.dx), [=](float x, float g) { return g * f(x); }, static_cast<const T*>(p.saved),
      static_cast<const T*>(p.g));
}

#define INSTANCES(name, direction, Params, f)                                \
  extern "C" __global__ void name##_f32(const __grid_constant__ Params p) {  \
    direction<float>(p, [](float x) { return f(x); });                       \
  }                                                                          \
  extern "C" __global__ void name##_bf16(const __grid_constant__ Params p) { \
    direction<bf16>(p, [](float x) { return f(x); });                        \
  }

INSTANCES(gelu, forward, UnaryParams, geluExact)
INSTANCES(geluTanh, forward, UnaryParams, geluTanhForm)
INSTANCES(geluGrad, backward, SlopeParams, exactSlope)
INSTANCES(geluTanhGrad, backward, SlopeParams, approximateSlope)

}  // namespace secateur::cuda
