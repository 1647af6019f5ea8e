#include "crossEntropy.h"

#include "host/classes.h"
#include "host/lines.h"
#include "host/lossTotal.h"
#include "ops/crossEntropy.h"

CUDA_IMAGE(crossEntropy)

namespace secateur::cuda {

KERNEL(crossEntropy, F32 | BF16)(const CrossEntropyArgs& s) {
  using Reduction = CrossEntropyArgs::Reduction;
  static Kernels forward(images::crossEntropy, "crossEntropy");
  const std::int64_t rows = s.target.size();
  const bool mean = s.reduction == Reduction::mean;
  const LineLaunch l = lineLaunch(rows, s.x.back(1), s.x.dtype, 0);
  auto* each = s.reduction == Reduction::none ? s.loss.as<float>() : scratch<float>(rows);
  auto* weights = mean ? scratch<float>(rows) : nullptr;
  launch(forward[s.x.dtype], l.blocks, l.threads,
         CrossEntropyParams{s.x.data, l.lines, classTargets("crossEntropy", s), static_cast<float>(s.labelSmoothing),
                            s.stats.as<float>(), each, weights});
  if (s.reduction == Reduction::none) return;
  launchLossTotal({each, weights, rows, 1, s.loss.as<float>(), mean ? s.divisor.as<float>() : nullptr});
}

KERNEL(crossEntropyGrad, F32 | BF16)(const CrossEntropyGradArgs& s) {
  static Kernels backward(images::crossEntropy, "crossEntropyGrad");
  const LineLaunch l = lineLaunch(s.target.size(), s.x.back(1), s.x.dtype, 0);
  launch(backward[s.x.dtype], l.blocks, l.threads,
         CrossEntropyGradParams{s.x.data, l.lines, classTargets("crossEntropyGrad", s),
                                static_cast<float>(s.labelSmoothing), s.stats.as<float>(), s.g.as<float>(),
                                s.reduction == CrossEntropyGradArgs::Reduction::none,
                                s.divisor.present ? s.divisor.as<float>() : nullptr, s.dx.data});
}

}  // namespace secateur::cuda
