// Attention through cuDNN: bf16, every query sees every key. False: cuDNN is not there or has no plan; nothing was
// queued, and own kernels do it. Its gradient is theirs always: cuDNN's needs the forward's output, which the op does
// not save, and as one operation it exists for compute capability 10.x only.
#pragma once
#include "ops/scaledDotProductAttention.h"

namespace secateur::cuda {

bool cudnnAttention(const ScaledDotProductAttentionArgs& a);

}  // namespace secateur::cuda
