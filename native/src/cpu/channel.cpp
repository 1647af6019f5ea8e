// Norms of output channels and the soft mask over them.
#include "ops/channel.h"

#include "cpu/parallel.h"
#include "cpu/pdpMask.h"

namespace secateur::SECATEUR_ISA {

KERNEL(channelNorm, F32)(const ChannelNormArgs& a) {
  const std::int64_t channels = a.norm.size();
  if (channels == 0) return;
  const std::int64_t row = a.w.size() / channels;
  const float* w = a.w.as<float>();
  float* norm = a.norm.as<float>();
  parallelFor(channels, parallelGrain / (row + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; c++) {
      const float* x = w + c * row;
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < row; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      norm[c] = static_cast<float>(__builtin_sqrt(sum));
    }
  });
}

KERNEL(channelNormGrad, F32)(const ChannelNormGradArgs& a) {
  const std::int64_t channels = a.norm.size();
  if (channels == 0) return;
  const std::int64_t row = a.w.size() / channels;
  const float* w = a.w.as<float>();
  const float* norm = a.norm.as<float>();
  const float* g = a.g.as<float>();
  float* dw = a.dw.as<float>();
  parallelFor(channels, parallelGrain / (row + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; c++) {
      const float factor = norm[c] == 0 ? 0.0f : g[c] / norm[c];
#pragma omp simd
      for (std::int64_t i = 0; i < row; i++) dw[c * row + i] = factor * w[c * row + i];
    }
  });
}

// A vector of one number a channel: short, so that nothing is split.
KERNEL(channelMask, F32)(const ChannelMaskArgs& a) {
  const std::int64_t n = a.norm.size();
  const bool dense = a.counts.as<std::int32_t>()[2 * a.layer] == 0;
  const PdpConstants c = pdpConstants(a.levels.as<float>()[3 * a.layer + 2], static_cast<float>(a.tau));
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const int count = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    const Vec e = pdpOdds(absOf(loadPart(a.norm.as<float>() + i, count)), c);
    putPart(a.mask.as<float>() + i, dense ? splat(1.0f) : splat(1.0f) / (splat(1.0f) + e), count);
  }
}

// g * 2 norm / tau * m (1 - m)
KERNEL(channelMaskGrad, F32)(const ChannelMaskGradArgs& a) {
  const std::int64_t n = a.norm.size();
  const bool dense = a.counts.as<std::int32_t>()[2 * a.layer] == 0;
  const PdpConstants c = pdpConstants(a.levels.as<float>()[3 * a.layer + 2], static_cast<float>(a.tau));
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const int count = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    const Vec norm = loadPart(a.norm.as<float>() + i, count);
    const Vec e = pdpOdds(absOf(norm), c);
    const Vec m = splat(1.0f) / (splat(1.0f) + e);
    const Vec slope = atMost(splat(kLargest), norm * c.sharpness) * pdpSlope(e, m);
    const Vec g = loadPart(a.g.as<float>() + i, count);
    putPart(a.dnorm.as<float>() + i, dense ? splat(0.0f) : g * slope, count);
  }
}

}  // namespace secateur::SECATEUR_ISA
