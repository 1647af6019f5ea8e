#include "ops/bceWithLogits.h"
#include "host/elementLoss.h"

CUDA_IMAGE(bceWithLogits)

namespace secateur::cuda {

KERNEL(bceWithLogits, F32 | BF16)(const BceWithLogitsArgs& s) {
  static Kernels forward(images::bceWithLogits, "bceWithLogits");
  launchElementLoss(forward, s, s.posWeight);
}

KERNEL(bceWithLogitsGrad, F32 | BF16)(const BceWithLogitsGradArgs& s) {
  static Kernels backward(images::bceWithLogits, "bceWithLogitsGrad");
  launchElementLossGrad(backward, s, s.posWeight);
}

}  // namespace secateur::cuda
