// Attention through cuDNN: bf16, causal or not, without a mask of keys (a query that sees no key gives zeros here and
// NaN there). False: cuDNN is not there or has no plan; nothing was queued, and own kernels do it. Both passes are
// graphs (vendor/attentionGraph.cpp): the gradient as one operation cuDNN has for compute capability 10.x only.
#pragma once
#include "ops/scaledDotProductAttention.h"

namespace secateur::cuda {

bool cudnnAttention(const ScaledDotProductAttentionArgs& a);
bool cudnnAttentionGrad(const ScaledDotProductAttentionGradArgs& a);

}  // namespace secateur::cuda
