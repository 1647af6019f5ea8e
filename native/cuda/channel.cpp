#include "channel.h"

#include "gpu/rows.h"
#include "host/launch.h"
#include "host/pdp.h"
#include "host/reduction.h"
#include "ops/channel.h"

CUDA_IMAGE(channel)
CUDA_IMAGE(norm)

namespace secateur::cuda {

KERNEL(channelNorm, F32)(const ChannelNormArgs& a) {
  static ReductionKernels euclidean(images::norm, "normTwo");
  ReductionParams p{};
  p.y = a.norm.data;
  const std::uint32_t inner = ((1u << a.w.rank) - 1) & ~1u;
  euclidean.launch(a.w, inner, 2 * sizeof(float), p);
}

KERNEL(channelNormGrad, F32)(const ChannelNormGradArgs& a) {
  static Kernel kernel(images::channel, "channelNormGrad");
  const std::int64_t channels = a.norm.size();
  if (a.w.size() == 0) return;
  const std::int64_t row = a.w.size() / channels, pieces = chunksOf(row);
  launch(kernel, elementBlocks(channels * pieces, 1), 256,
         ChannelNormGradParams{a.w.as<float>(), a.norm.as<float>(), a.g.as<float>(), a.dw.as<float>(), channels, row,
                               pieces});
}

namespace {

template <class Args>
ChannelMaskParams maskParams(const Args& a, const View& g, const View& y) {
  return {a.norm.template as<float>(),
          g.as<float>(),
          y.as<float>(),
          y.size(),
          a.levels.template as<float>(),
          a.counts.template as<std::int32_t>(),
          liveWhole(a.layer),
          temperature(a.tau)};
}

}  // namespace

KERNEL(channelMask, F32)(const ChannelMaskArgs& a) {
  static Kernel kernel(images::channel, "channelMask");
  launch(kernel, elementBlocks(a.mask.size()), 256, maskParams(a, {}, a.mask));
}

KERNEL(channelMaskGrad, F32)(const ChannelMaskGradArgs& a) {
  static Kernel kernel(images::channel, "channelMaskGrad");
  launch(kernel, elementBlocks(a.dnorm.size()), 256, maskParams(a, a.g, a.dnorm));
}

}  // namespace secateur::cuda
