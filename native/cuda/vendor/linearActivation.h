// Products with what follows them through cuBLASLt. Each function gives false when cuBLASLt is not there or has no
// kernel for it; then nothing was queued.
#pragma once
#include "ops/linearActivation.h"

namespace secateur::cuda {

// y = x weight^T + bias, and nothing after it.
bool cublasLtLinear(const View& x, const View& weight, const View& bias, const View& y);
// All of it in one kernel: gelu by tanh, the one form the library has.
bool cublasLtLinearGeluTanh(const LinearGeluArgs& a);

}  // namespace secateur::cuda
