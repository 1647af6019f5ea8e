// Batch norm in training through cuDNN, with no relu after it. False: cuDNN is not there, is not wanted or has no plan;
// nothing was queued, and own kernels do it.
//
// It is asked only where SECATEUR_CUDNN_BATCH_NORM=1 wants it. Own kernels read and write no byte twice that a device
// which does not hold the whole tensor could spare, and they fuse relu and the shortcut, which leaves few plain batch
// norms in a model; cuDNN compiles each of its kernels at the first use, for half a second. So it takes a measurement
// to prefer it, and evaluation, which cuDNN does not have as an operation, stays with own kernels.
#pragma once
#include "ops/batchNorm.h"

namespace secateur::cuda {

bool cudnnBatchNorm(const BatchNormArgs& a);
bool cudnnBatchNormGrad(const BatchNormGradArgs& a);

}  // namespace secateur::cuda
