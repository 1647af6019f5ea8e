#include "host/keyMask.h"

#include "gpu/keyMask.h"
#include "host/launch.h"

CUDA_IMAGE(keyMask)

namespace secateur::cuda {

const float* keyBias(const View& keyMask) {
  static Kernel kernel(images::keyMask, "keyBias");
  auto* bias = scratch<float>(keyMask.size());
  launch(kernel, elementBlocks(keyMask.size()), 256, KeyBiasParams{keyMask.as<std::uint8_t>(), bias, keyMask.size()});
  return bias;
}

void mendBlindQueries(const View& y, const View& lse) {
  static Kernels kernels(images::keyMask, "blindQueries");
  launch(kernels[y.dtype], elementBlocks(lse.size(), 8), 256,
         BlindQueryParams{y.data, lse.as<float>(), lse.size(), static_cast<int>(y.back(1))});
}

const float* statsOfSeeing(const View& lse) {
  static Kernel kernel(images::keyMask, "blindStats");
  auto* stats = scratch<float>(lse.size());
  launch(kernel, elementBlocks(lse.size()), 256, BlindStatsParams{lse.as<float>(), stats, lse.size()});
  return stats;
}

}  // namespace secateur::cuda
