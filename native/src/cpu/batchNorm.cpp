// Batch normalisation over the last axis, with relu and the addition before it.
#include "cpu/batchNorm.h"

#include "cpu/parallel.h"
#include "ops/batchNorm.h"

namespace secateur::SECATEUR_ISA {

namespace {

SECATEUR_INLINE BatchNormShape shapeOf(const View& x, bool relu) {
  const std::int64_t channels = x.back(1);
  const std::int64_t rows = channels == 0 ? 0 : x.size() / channels;
  return {rows, channels, relu, threadCount(), scratch<float>(batchNormScratch(rows, channels))};
}

template <class Args>
SECATEUR_INLINE void forward(const Args& a, const View& add, bool relu) {
  const BatchNormShape s = shapeOf(a.x, relu);
  const float *gamma = a.weight.template as<float>(), *beta = a.bias.template as<float>();
  float *mean = a.mean.template as<float>(), *rstd = a.rstd.template as<float>();
  float *runningMean = a.runningMean.template as<float>(), *runningVar = a.runningVar.template as<float>();
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.template as<T>();
    const T* plus = add.present ? add.as<T>() : nullptr;
    T* y = a.y.template as<T>();
    if (a.training) {
      batchNormForward<T>(s, x, plus, gamma, beta, a.eps, a.momentum, y, mean, rstd, runningMean, runningVar);
      return;
    }
    // What backward needs is kept here too: the running statistics may have moved by then.
    for (std::int64_t c = 0; c < s.channels; c++) {
      mean[c] = runningMean[c];
      rstd[c] = 1.0f / __builtin_sqrtf(runningVar[c] + static_cast<float>(a.eps));
    }
    batchNormEval<T>(s, x, plus, gamma, beta, a.eps, runningMean, runningVar, y);
  });
}

}  // namespace

KERNEL(batchNorm, F32 | BF16)(const BatchNormArgs& a) { forward(a, View{}, a.relu); }

KERNEL(batchNormAddRelu, F32 | BF16)(const BatchNormAddReluArgs& a) { forward(a, a.add, true); }

KERNEL(batchNormGrad, F32 | BF16)(const BatchNormGradArgs& a) {
  const BatchNormShape s = shapeOf(a.x, a.relu);
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    batchNormBackward<T>(s, a.x.as<T>(), a.y.present ? a.y.as<T>() : nullptr, a.g.as<T>(), a.weight.as<float>(),
                         a.bias.as<float>(), a.mean.as<float>(), a.rstd.as<float>(), a.training, a.dx.as<T>(),
                         a.dadd.present ? a.dadd.as<T>() : nullptr, a.dweight.as<float>(), a.dbias.as<float>());
  });
}

}  // namespace secateur::SECATEUR_ISA
