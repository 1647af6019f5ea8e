#include "nmMask.h"

#include "host/launch.h"
#include "host/pdp.h"
#include "ops/nmMask.h"

CUDA_IMAGE(nmMask)

namespace secateur::cuda {

namespace {

NmParams groupsOf(const View& w, std::int64_t n, std::int64_t m) {
  return {w.as<float>(), nullptr, nullptr, w.size(), static_cast<int>(m), static_cast<int>(m - n), {}};
}

}  // namespace

KERNEL(nmSoftWeight, F32)(const NmSoftWeightArgs& a) {
  static Kernels kernels(images::nmMask, "nmSoftWeight");
  NmParams p = groupsOf(a.w, a.n, a.m);
  p.y = a.y.data;
  p.tau = temperature(a.tau);
  launch(kernels[a.y.dtype], elementBlocks(p.n, 2048), 256, p);
}

KERNEL(nmSoftWeightGrad, F32 | BF16)(const NmSoftWeightGradArgs& a) {
  static Kernels kernels(images::nmMask, "nmSoftWeightGrad");
  NmParams p = groupsOf(a.w, a.n, a.m);
  p.g = a.g.data;
  p.y = a.dw.data;
  p.tau = temperature(a.tau);
  launch(kernels[a.g.dtype], elementBlocks(p.n, 2048), 256, p);
}

KERNEL(nmHardMask, F32)(const NmHardMaskArgs& a) {
  static Kernel kernel(images::nmMask, "nmHardMask");
  NmParams p = groupsOf(a.w, a.n, a.m);
  p.y = a.mask.data;
  launch(kernel, elementBlocks(p.n, 2048), 256, p);
}

}  // namespace secateur::cuda
