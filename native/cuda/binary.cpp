#include "ops/binary.h"
#include "host/pointwise.h"

CUDA_IMAGE(binary)

namespace secateur::cuda {

#define POINTWISE(op, Args, types)                   \
  KERNEL(op, types)(const Args& s) {                 \
    static Kernels kernels(images::binary, #op);     \
    launchBinary(kernels[s.a.dtype], s.a, s.b, s.y); \
  }

POINTWISE(add, AddArgs, F32 | BF16 | I32)
POINTWISE(sub, SubArgs, F32 | BF16 | I32)
POINTWISE(mul, MulArgs, F32 | BF16 | I32)
POINTWISE(maximum, MaximumArgs, F32 | BF16 | I32)
POINTWISE(minimum, MinimumArgs, F32 | BF16 | I32)
POINTWISE(div, DivArgs, F32 | BF16)
POINTWISE(pow, PowArgs, F32 | BF16)

KERNEL(powGrad, F32 | BF16)(const PowGradArgs& s) {
  static Kernels base(images::binary, "powBaseGrad");
  static Kernels exponent(images::binary, "powExponentGrad");
  Kernels& kernels = s.of == PowGradArgs::Of::exponent ? exponent : base;
  launchTernary(kernels[s.g.dtype], s.g, s.a, s.b, s.d);
}

KERNEL(extremumGrad, F32 | BF16)(const ExtremumGradArgs& s) {
  static Kernels maximum(images::binary, "maximumGrad");
  static Kernels minimum(images::binary, "minimumGrad");
  Kernels& kernels = s.which == ExtremumGradArgs::Which::maximum ? maximum : minimum;
  launchTernary(kernels[s.g.dtype], s.g, s.mine, s.other, s.d);
}

}  // namespace secateur::cuda
