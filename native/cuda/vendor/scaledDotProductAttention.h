// Attention through cuDNN in bf16. A mask of keys is a bias there. False: cuDNN is not there or has no plan; nothing
// that matters was queued, and own kernels do it. Both passes are graphs (vendor/attentionGraph.cpp): the gradient as
// one operation cuDNN has for compute capability 10.x only.
#pragma once
#include "ops/scaledDotProductAttention.h"

namespace secateur::cuda {

bool cudnnAttention(const ScaledDotProductAttentionArgs& a);
bool cudnnAttentionGrad(const ScaledDotProductAttentionGradArgs& a);

}  // namespace secateur::cuda
