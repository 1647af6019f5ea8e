// Attention through cuDNN: bf16, every query sees every key. False: cuDNN is not there or has no plan; nothing was
// queued, and own kernels do it. The gradient is a graph (vendor/attentionGraph.cpp): as one operation cuDNN has it for
// compute capability 10.x only.
#pragma once
#include "ops/scaledDotProductAttention.h"

namespace secateur::cuda {

bool cudnnAttention(const ScaledDotProductAttentionArgs& a);
bool cudnnAttentionGrad(const ScaledDotProductAttentionGradArgs& a);

}  // namespace secateur::cuda
