// The global norm of a list of gradients, and scaling them down to it.
#include "ops/gradNorm.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"
#include "cpu/pdpMask.h"

namespace secateur::SECATEUR_ISA {

static std::int64_t largestOf(const List<View>& list) {
  std::int64_t largest = 0;
  for (const View& one : list) largest = one.size() > largest ? one.size() : largest;
  return largest;
}

static double squaresOf(const View& g, double* partial) {
  const float* data = g.as<float>();
  return sumOfSquares(g.size(), partial, [=](std::int64_t begin, std::int64_t, float*) { return data + begin; });
}

// Of a gradient that has not been through the mask yet.
template <class T>
SECATEUR_INLINE double maskedSquaresOf(const PdpGradNormArgs& a, std::size_t layer, double* partial) {
  const float* w = a.w[layer].as<float>();
  const T* g = a.g[layer].as<T>();
  const bool dense = a.counts.as<std::int32_t>()[2 * layer] == 0;
  const float t = a.levels.as<float>()[3 * layer + 2], tau = static_cast<float>(a.tau);
  const auto part = [=](std::int64_t begin, std::int64_t count, float* room) __attribute__((always_inline)) {
    if (dense) {
      for (std::int64_t i = 0; i < count; i++) room[i] = toFloat(g[begin + i]);
    } else {
      pdpMaskGradChunk<false>(w + begin, g + begin, room, count, pdpConstants(t, tau));
    }
    return static_cast<const float*>(room);
  };
  return sumOfSquares(a.w[layer].size(), partial, part);
}

KERNEL(gradNorm, F32)(const GradNormArgs& a) {
  auto* partial = scratch<double>((largestOf(a.g) + kChunk - 1) / kChunk);
  double total = 0;
  for (const View& g : a.g) total += squaresOf(g, partial);
  *a.norm.as<float>() = static_cast<float>(__builtin_sqrt(total));
}

KERNEL(pdpGradNorm, F32 | BF16)(const PdpGradNormArgs& a) {
  const std::int64_t plain = largestOf(a.plain), masked = largestOf(a.w);
  auto* partial = scratch<double>(((plain > masked ? plain : masked) + kChunk - 1) / kChunk);
  const std::size_t all = a.plain.size() + a.w.size();
  double total = 0;
  std::size_t next = 0;
  for (std::size_t place = 0; place < all; place++) {
    std::size_t layer = 0;
    while (layer < a.w.size() && a.places[layer] != static_cast<std::int64_t>(place)) layer++;
    if (layer == a.w.size()) {
      total += squaresOf(a.plain[next++], partial);
    } else {
      withFloat(a.g[0].dtype, [&](auto tag) { total += maskedSquaresOf<decltype(tag)>(a, layer, partial); });
    }
  }
  *a.norm.as<float>() = static_cast<float>(__builtin_sqrt(total));
}

KERNEL(clipGrads, F32)(const ClipGradsArgs& a) {
  const float factor = clipFactor(*a.norm.as<float>(), a.maxNorm);
  if (factor == 1.0f) return;
  for (const View& list : a.g) {
    float* g = list.as<float>();
    parallelFor(list.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) g[i] *= factor;
    });
  }
}

}  // namespace secateur::SECATEUR_ISA
