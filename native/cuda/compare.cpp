#include "ops/compare.h"
#include "host/pointwise.h"

CUDA_IMAGE(compare)

namespace secateur::cuda {

#define COMPARISON(op, Args)                         \
  KERNEL(op, ANY)(const Args& s) {                   \
    static Kernels kernels(images::compare, #op);    \
    launchBinary(kernels[s.a.dtype], s.a, s.b, s.y); \
  }

COMPARISON(eq, EqArgs)
COMPARISON(ne, NeArgs)
COMPARISON(lt, LtArgs)
COMPARISON(le, LeArgs)
COMPARISON(gt, GtArgs)
COMPARISON(ge, GeArgs)

}  // namespace secateur::cuda
