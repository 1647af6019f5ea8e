#include "ops/where.h"
#include "host/pointwise.h"

CUDA_IMAGE(where)

namespace secateur::cuda {

KERNEL(where, ANY)(const WhereArgs& s) {
  static BySize kernels(images::where, "where");
  launchTernary(kernels[s.y.dtype], s.cond, s.a, s.b, s.y);
}

}  // namespace secateur::cuda
