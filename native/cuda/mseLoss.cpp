#include "ops/mseLoss.h"
#include "host/elementLoss.h"

CUDA_IMAGE(mseLoss)

namespace secateur::cuda {

KERNEL(mseLoss, F32 | BF16)(const MseLossArgs& s) {
  static Kernels forward(images::mseLoss, "mseLoss");
  launchElementLoss(forward, s, View{});
}

KERNEL(mseLossGrad, F32 | BF16)(const MseLossGradArgs& s) {
  static Kernels backward(images::mseLoss, "mseLossGrad");
  launchElementLossGrad(backward, s, View{});
}

}  // namespace secateur::cuda
