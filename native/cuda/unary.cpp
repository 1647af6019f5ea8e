#include "ops/unary.h"
#include "host/pointwise.h"

CUDA_IMAGE(unary)

namespace secateur::cuda {

#define POINTWISE(op, Args, types)              \
  KERNEL(op, types)(const Args& a) {            \
    static Kernels kernels(images::unary, #op); \
    launchUnary(kernels[a.x.dtype], a.x, a.y);  \
  }
#define SLOPE(op, Args)                                  \
  KERNEL(op, F32 | BF16)(const Args& a) {                \
    static Kernels kernels(images::unary, #op);          \
    launchSlope(kernels[a.g.dtype], a.saved, a.g, a.dx); \
  }

POINTWISE(neg, NegArgs, F32 | BF16 | I32)
POINTWISE(abs, AbsArgs, F32 | BF16 | I32)
POINTWISE(sign, SignArgs, F32 | BF16)
POINTWISE(sqrt, SqrtArgs, F32 | BF16)
POINTWISE(rsqrt, RsqrtArgs, F32 | BF16)
POINTWISE(exp, ExpArgs, F32 | BF16)
POINTWISE(log, LogArgs, F32 | BF16)
POINTWISE(erf, ErfArgs, F32 | BF16)
POINTWISE(sigmoid, SigmoidArgs, F32 | BF16)
SLOPE(sigmoidGrad, SigmoidGradArgs)
POINTWISE(tanh, TanhArgs, F32 | BF16)
SLOPE(tanhGrad, TanhGradArgs)
POINTWISE(silu, SiluArgs, F32 | BF16)
SLOPE(siluGrad, SiluGradArgs)
POINTWISE(relu6, Relu6Args, F32 | BF16)
SLOPE(relu6Grad, Relu6GradArgs)

}  // namespace secateur::cuda
