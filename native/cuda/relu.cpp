#include "relu.h"

#include "host/launch.h"
#include "ops/relu.h"

CUDA_IMAGE(relu)

namespace secateur::cuda {

KERNEL(relu, F32 | BF16)(const ReluArgs& a) {
  static Kernels forward(images::relu, "relu");
  const std::int64_t n = a.y.size();
  launch(forward[a.x.dtype], elementBlocks(n), 256, ReluParams{a.x.data, a.y.data, n});
}

KERNEL(reluGrad, F32 | BF16)(const ReluGradArgs& a) {
  static Kernels backward(images::relu, "reluGrad");
  const std::int64_t n = a.dx.size();
  launch(backward[a.y.dtype], elementBlocks(n), 256, ReluGradParams{a.y.data, a.g.data, a.dx.data, n});
}

}  // namespace secateur::cuda
