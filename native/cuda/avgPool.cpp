#include "ops/avgPool.h"
#include "host/pool.h"

CUDA_IMAGE(avgPool)

namespace secateur::cuda {

namespace {

void means(const View& x, const View& y, const PoolAxis& down, const PoolAxis& across) {
  static PoolKernels kernels(images::avgPool, "means", "meansSingle");
  PoolParams p{};
  p.down = down;
  p.across = across;
  kernels.launch(x, y, p);
}

void spread(const View& g, const View& dx, const PoolAxis& down, const PoolAxis& across) {
  static PoolKernels kernels(images::avgPool, "spread", "spreadSingle");
  PoolParams p{};
  p.down = down;
  p.across = across;
  kernels.launch(g, dx, p);
}

}  // namespace

KERNEL(avgPool2d, F32 | BF16)(const AvgPool2dArgs& a) {
  means(a.x, a.y, slidingAxis(a, a.x, a.y, 0, a.countIncludePad), slidingAxis(a, a.x, a.y, 1, a.countIncludePad));
}

KERNEL(avgPool2dGrad, F32 | BF16)(const AvgPool2dGradArgs& a) {
  spread(a.g, a.dx, slidingAxis(a, a.dx, a.g, 0, a.countIncludePad), slidingAxis(a, a.dx, a.g, 1, a.countIncludePad));
}

KERNEL(adaptiveAvgPool2d, F32 | BF16)(const AdaptiveAvgPool2dArgs& a) {
  means(a.x, a.y, adaptiveAxis(a.x, a.y, 0), adaptiveAxis(a.x, a.y, 1));
}

KERNEL(adaptiveAvgPool2dGrad, F32 | BF16)(const AdaptiveAvgPool2dGradArgs& a) {
  spread(a.g, a.dx, adaptiveAxis(a.dx, a.g, 0), adaptiveAxis(a.dx, a.g, 1));
}

}  // namespace secateur::cuda
