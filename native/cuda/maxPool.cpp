#include "ops/maxPool.h"
#include "core/error.h"
#include "host/pool.h"

CUDA_IMAGE(maxPool)

namespace secateur::cuda {

KERNEL(maxPool2d, F32 | BF16)(const MaxPool2dArgs& a) {
  static PoolKernels byByte(images::maxPool, "maxByByte", "maxByByteSingle");
  static PoolKernels byWord(images::maxPool, "maxByWord", "maxByWordSingle");
  PoolParams p{};
  p.winnerOut = a.winner.data;
  p.down = slidingAxis(a, a.x, a.y, 0, false);
  p.across = slidingAxis(a, a.x, a.y, 1, false);
  (a.winner.dtype == DType::u8 ? byByte : byWord).launch(a.x, a.y, p);
}

KERNEL(maxPool2dGrad, F32 | BF16)(const MaxPool2dGradArgs& a) {
  static PoolKernels byByte(images::maxPool, "maxGradByByte", "maxGradByByteSingle");
  static PoolKernels byWord(images::maxPool, "maxGradByWord", "maxGradByWordSingle");
  if (a.winner.dtype != DType::u8 && a.winner.dtype != DType::i32)
    fail("winner must be u8 or i32, as maxPool2d gives it.");
  PoolParams p{};
  p.winner = a.winner.data;
  p.down = slidingAxis(a, a.dx, a.g, 0, false);
  p.across = slidingAxis(a, a.dx, a.g, 1, false);
  (a.winner.dtype == DType::u8 ? byByte : byWord).launch(a.g, a.dx, p);
}

}  // namespace secateur::cuda
