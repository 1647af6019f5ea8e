#include "clamp.h"

#include "host/launch.h"
#include "ops/clamp.h"

CUDA_IMAGE(clamp)

namespace secateur::cuda {

// A limit for whole numbers: cut off as the CPU cuts it, and kept inside 32 bits.
static std::int64_t wholeLimit(double x) {
  return x >= 0x1p31 ? 0x7fffffff : x < -0x1p31 ? -0x80000000ll : static_cast<std::int64_t>(x);
}

static ClampParams paramsOf(const View& x, const void* g, const View& y, double low, double high) {
  return {x.data, g, y.data, y.size(), live(low), live(high), liveWhole(wholeLimit(low)), liveWhole(wholeLimit(high))};
}

KERNEL(clamp, F32 | BF16 | I32)(const ClampArgs& a) {
  static Kernels kernels(images::clamp, "clamp");
  launch(kernels[a.x.dtype], elementBlocks(a.y.size()), 256, paramsOf(a.x, nullptr, a.y, a.min, a.max));
}

KERNEL(clampGrad, F32 | BF16)(const ClampGradArgs& a) {
  static Kernels kernels(images::clamp, "clampGrad");
  launch(kernels[a.x.dtype], elementBlocks(a.dx.size()), 256, paramsOf(a.x, a.g.data, a.dx, a.min, a.max));
}

}  // namespace secateur::cuda
