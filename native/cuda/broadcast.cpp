// Repeating along broadcast axes, and the adjoint of it: summing over them.
#include "ops/broadcast.h"
#include "host/rearrange.h"
#include "host/reduction.h"

CUDA_IMAGE(sum)

namespace secateur::cuda {

KERNEL(broadcastTo, ANY)(const BroadcastToArgs& s) { repeat(s.x, s.y); }

KERNEL(sumTo, F32 | BF16)(const SumToArgs& s) {
  static ReductionKernels kernels(images::sum, "sum");
  ReductionParams p{};
  p.y = s.y.data;
  p.scale = 1;
  p.accumulate = s.accumulate;
  kernels.launch(s.x, repeatedAxes(s.y, s.x), sizeof(float), p);
}

}  // namespace secateur::cuda
