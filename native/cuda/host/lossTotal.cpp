#include "host/lossTotal.h"

#include "host/launch.h"

CUDA_IMAGE(lossTotal)

namespace secateur::cuda {

void launchLossTotal(const LossTotalParams& p) {
  static Kernel kernel(images::lossTotal, "lossTotal");
  launch(kernel, 1, 1024, p);
}

}  // namespace secateur::cuda
