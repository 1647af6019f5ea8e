// Matrix products through cuBLASLt, bias added in the same kernel. False: cuBLASLt is not there or does not do this
// one; nothing was queued, and own kernels do it.
#pragma once
#include "ops/matmul.h"

namespace secateur::cuda {

bool cublasLtMatmul(const MatmulArgs& a);

}  // namespace secateur::cuda
