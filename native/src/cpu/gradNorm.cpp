// The global norm of a list of gradients, and scaling them down to it.
#include "ops/gradNorm.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(gradNorm, F32)(const GradNormArgs& a) {
  std::int64_t largest = 0;
  for (const View& g : a.g) largest = g.size() > largest ? g.size() : largest;
  auto* partial = scratch<double>((largest + kChunk - 1) / kChunk);
  double total = 0;
  for (const View& g : a.g) total += sumOfSquares(g.as<float>(), g.size(), partial);
  *a.norm.as<float>() = static_cast<float>(__builtin_sqrt(total));
}

KERNEL(clipGrads, F32)(const ClipGradsArgs& a) {
  const double ratio = a.maxNorm / (static_cast<double>(*a.norm.as<float>()) + 1e-6);
  // A NaN norm makes the factor NaN.
  const float factor = ratio >= 1 ? 1.0f : static_cast<float>(ratio);
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
