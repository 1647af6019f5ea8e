#include "ops/sgd.h"
#include "host/optimizer.h"

CUDA_IMAGE(sgd)

namespace secateur::cuda {

KERNEL(sgd, F32)(const SgdArgs& a) {
  static Kernel plain(images::sgd, "sgdPlain");
  static Kernel momentum(images::sgd, "sgdMomentum");
  OptimizerRows rows(a.w, a.g);
  rows.add(a.v);
  rows.update(rows.slots() > 0 ? momentum : plain, sgdNumbers(a));
}

}  // namespace secateur::cuda
