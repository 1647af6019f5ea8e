#include "ops/adam.h"
#include "host/optimizer.h"

CUDA_IMAGE(adam)

namespace secateur::cuda {

KERNEL(adam, F32)(const AdamArgs& a) {
  static Kernel kernel(images::adam, "adam");
  OptimizerRows rows(a.w, a.g);
  rows.add(a.m);
  rows.add(a.v);
  const AdamNumbers numbers = adamNumbers(a, rows);
  rows.update(kernel, numbers);
}

}  // namespace secateur::cuda
