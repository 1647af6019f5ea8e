// Convolutions through cuDNN. Each function gives false when cuDNN is not there or has no plan that keeps the rules of
// arithmetic; then nothing was queued, and own kernels do it. Depthwise ones are always left to those.
#pragma once
#include "ops/conv2d.h"

namespace secateur::cuda {

bool cudnnConvForward(const Conv2dArgs& a);
bool cudnnConvReluForward(const Conv2dReluArgs& a);
bool cudnnConvGradInput(const Conv2dGradInputArgs& a);
bool cudnnConvGradWeight(const Conv2dGradWeightArgs& a);

}  // namespace secateur::cuda
