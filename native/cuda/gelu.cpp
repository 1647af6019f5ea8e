#include "ops/gelu.h"
#include "host/pointwise.h"

CUDA_IMAGE(gelu)

namespace secateur::cuda {

KERNEL(gelu, F32 | BF16)(const GeluArgs& a) {
  static Kernels exact(images::gelu, "gelu");
  static Kernels byTanh(images::gelu, "geluTanh");
  launchUnary((a.approximate == GeluArgs::Approximate::none ? exact : byTanh)[a.x.dtype], a.x, a.y);
}

KERNEL(geluGrad, F32 | BF16)(const GeluGradArgs& a) {
  static Kernels exact(images::gelu, "geluGrad");
  static Kernels byTanh(images::gelu, "geluTanhGrad");
  launchSlope((a.approximate == GeluGradArgs::Approximate::none ? exact : byTanh)[a.x.dtype], a.x, a.g, a.dx);
}

}  // namespace secateur::cuda
