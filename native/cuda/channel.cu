// The gradient of channel norms, and the soft mask over channels. The norms themselves are a reduction of norm.cu: 4
// bytes an element. Their gradient reads w and writes dw: 8. A mask has one number a channel.
#include "channel.h"

#include "gpu/element.cuh"
#include "gpu/pdp.cuh"
#include "gpu/rows.h"

namespace secateur::cuda {

// dw[c, ...] = g[c] / norm[c] w[c, ...], 0 where the norm is 0.
extern "C" __global__ void __launch_bounds__(256) channelNormGrad(const __grid_constant__ ChannelNormGradParams p) {
  for (std::int64_t piece = blockIdx.x; piece < p.channels * p.pieces; piece += gridDim.x) {
    const std::int64_t channel = piece / p.pieces;
    const std::int64_t begin = (piece - channel * p.pieces) * chunkSize;
    const auto length = static_cast<int>(p.row - begin < chunkSize ? p.row - begin : chunkSize);
    const float norm = p.norm[channel];
    const float factor = norm == 0 ? 0.0f : p.g[channel] / norm;
    const float* w = p.w + channel * p.row + begin;
    float* dw = p.dw + channel * p.row + begin;
    int done = 0;
    if (aligned(16, w, dw)) {
      done = length & ~3;
      for (int i = threadIdx.x * 4; i < done; i += 1024) {
        auto four = loadPack<float, 4>(w + i);
#pragma unroll
        for (int j = 0; j < 4; j++) four.at[j] *= factor;
        storePack(dw + i, four);
      }
    }
    for (int i = done + threadIdx.x; i < length; i += 256) dw[i] = factor * w[i];
  }
}

extern "C" __global__ void channelMask(const __grid_constant__ ChannelMaskParams p) {
  const std::int64_t layer = p.layer;
  const bool dense = p.counts[2 * layer] == 0;
  const PdpMask mask(p.levels[3 * layer + 2], p.tau);
  for (std::int64_t c = threadIndex(); c < p.n; c += threadTotal()) p.y[c] = dense ? 1.0f : mask.mask(p.norm[c]);
}

// g 2 norm / tau m (1 - m)
extern "C" __global__ void channelMaskGrad(const __grid_constant__ ChannelMaskParams p) {
  const std::int64_t layer = p.layer;
  const bool dense = p.counts[2 * layer] == 0;
  const PdpMask mask(p.levels[3 * layer + 2], p.tau);
  for (std::int64_t c = threadIndex(); c < p.n; c += threadTotal())
    p.y[c] = dense ? 0.0f : __fmul_rn(p.g[c], mask.maskSlope(p.norm[c]));
}

}  // namespace secateur::cuda
