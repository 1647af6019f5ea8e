// An optimizer step of weights under PDP's mask, with the selection of the next thresholds and the next effective
// weights.
//
// A stretch of 2,048 weights at a time: its gradient goes through the mask into a buffer and is clipped, the optimizer
// updates it, and its keys are looked at for the next threshold, all within the first-level cache. So the weights are
// read twice: here, and when the effective ones are made, once their threshold is known. 36 bytes an element for Adam
// in f32, where the steps one after the other move 52.
#include "ops/pdpStep.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"
#include "cpu/pdpMask.h"
#include "cpu/threshold.h"

namespace secateur::SECATEUR_ISA {

// step(l, begin, g, n): the optimizer's, of n weights of layer l from `begin` on, with these gradients.
template <class T, class Args, class Step>
SECATEUR_INLINE void pdpStep(const Args& a, const Step& step) {
  const auto count = static_cast<std::int64_t>(a.w.size());
  auto* levels = a.levels.template as<float>();
  auto* counts = a.counts.template as<std::int32_t>();
  const auto tau = static_cast<float>(a.tau);
  const float factor = a.norm.present ? clipFactor(*a.norm.template as<float>(), a.maxNorm) : 1.0f;
  std::int64_t largest = 0;
  for (const View& w : a.w) largest = w.size() > largest ? w.size() : largest;
  auto* words = scratch<std::uint32_t>(thresholdScratch(largest));
  for (std::int64_t l = 0; l < count; l++) {
    const auto at = static_cast<std::size_t>(l);
    const float* w = a.w[at].template as<float>();
    const T* g = a.g[at].template as<T>();
    const std::int64_t n = a.w[at].size();
    const PdpConstants mask = pdpConstants(levels[3 * l + 2], tau);
    const bool dense = counts[2 * l] == 0;
    ThresholdBracket fresh{};
    ThresholdBracket* bracket = a.state.present ? a.state.template as<ThresholdBracket>() + l : &fresh;
    ThresholdLayer layer{w, n, a.k[at], bracket, 0, 0, 0, 0};
    thresholdPrepared(
        layer, words, [&](std::int64_t begin, std::int64_t end) __attribute__((always_inline)) {
          alignas(64) float gradient[kStep];
          if (dense) {
            pdpCopy(g + begin, gradient, end - begin);
          } else {
            pdpMaskGradChunk<false>(w + begin, g + begin, gradient, end - begin, mask);
          }
          if (factor != 1.0f) {
#pragma omp simd
            for (std::int64_t i = 0; i < end - begin; i++) gradient[i] *= factor;
          }
          step(at, begin, gradient, end - begin);
        });
    levels[3 * l] = layer.lower;
    levels[3 * l + 1] = layer.upper;
    levels[3 * l + 2] = layer.t;
    counts[2 * l] = static_cast<std::int32_t>(layer.k);
    counts[2 * l + 1] = static_cast<std::int32_t>(layer.ties);
    pdpMask(w, a.y[at].template as<T>(), n, layer.k, layer.t, tau);
  }
}

KERNEL(pdpSgdStep, F32 | BF16)(const PdpSgdStepArgs& a) {
  const SgdSettings s = sgdSettings(a);
  const auto step = [&](std::size_t l, std::int64_t begin, const float* g, std::int64_t n) {
    float* v = a.v.size() > 0 ? a.v[l].as<float>() + begin : nullptr;
    sgdStep(a.w[l].as<float>() + begin, g, v, n, s);
  };
  if (a.w.size() == 0) return;
  withFloat(a.g[0].dtype, [&](auto tag) { pdpStep<decltype(tag)>(a, step); });
}

KERNEL(pdpAdamStep, F32 | BF16)(const PdpAdamStepArgs& a) {
  const auto step = [&](std::size_t l, std::int64_t begin, const float* g, std::int64_t n) {
    adamStep(a.w[l].as<float>() + begin, g, a.m[l].as<float>() + begin, a.v[l].as<float>() + begin, n,
             adamSettings(a, l));
  };
  if (a.w.size() == 0) return;
  withFloat(a.g[0].dtype, [&](auto tag) { pdpStep<decltype(tag)>(a, step); });
}

}  // namespace secateur::SECATEUR_ISA
