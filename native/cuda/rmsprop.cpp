#include "ops/rmsprop.h"
#include "host/optimizer.h"

CUDA_IMAGE(rmsprop)

namespace secateur::cuda {

KERNEL(rmsprop, F32)(const RmspropArgs& a) {
  static Kernel plain(images::rmsprop, "rmsprop");
  static Kernel centered(images::rmsprop, "rmspropCentered");
  static Kernel momentum(images::rmsprop, "rmspropMomentum");
  static Kernel both(images::rmsprop, "rmspropCenteredMomentum");
  OptimizerRows rows(a.w, a.g);
  rows.add(a.v);
  rows.add(a.a);
  rows.add(a.b);
  const bool isCentered = a.a.size() > 0, isHeavy = a.b.size() > 0;
  const RmspropNumbers numbers{live(a.lr),  live(a.alpha),       live(1.0 - a.alpha),
                               live(a.eps), live(a.weightDecay), live(a.momentum)};
  rows.update(isCentered ? (isHeavy ? both : centered) : (isHeavy ? momentum : plain), numbers);
}

}  // namespace secateur::cuda
