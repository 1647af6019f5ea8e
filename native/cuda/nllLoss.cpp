#include "nllLoss.h"

#include "host/classes.h"
#include "host/lines.h"
#include "host/lossTotal.h"
#include "ops/nllLoss.h"

CUDA_IMAGE(nllLoss)

namespace secateur::cuda {

KERNEL(nllLoss, F32 | BF16)(const NllLossArgs& s) {
  using Reduction = NllLossArgs::Reduction;
  static Kernels forward(images::nllLoss, "nllLoss");
  const std::int64_t rows = s.target.size();
  const bool mean = s.reduction == Reduction::mean;
  auto* each = s.reduction == Reduction::none ? s.loss.as<float>() : scratch<float>(rows);
  auto* weights = mean ? scratch<float>(rows) : nullptr;
  launch(forward[s.x.dtype], elementBlocks(rows, 64), 64,
         NllLossParams{s.x.data, rows, s.x.back(1), classTargets("nllLoss", s), each, weights});
  if (s.reduction == Reduction::none) return;
  launchLossTotal({each, weights, rows, 1, s.loss.as<float>(), mean ? s.divisor.as<float>() : nullptr});
}

KERNEL(nllLossGrad, F32 | BF16)(const NllLossGradArgs& s) {
  static Kernels backward(images::nllLoss, "nllLossGrad");
  const LineLaunch l = lineLaunch(s.target.size(), s.x.back(1), s.dx.dtype, 0);
  launch(backward[s.dx.dtype], l.blocks, l.threads,
         NllLossGradParams{l.lines, classTargets("nllLossGrad", s), s.g.as<float>(),
                           s.reduction == NllLossGradArgs::Reduction::none,
                           s.divisor.present ? s.divisor.as<float>() : nullptr, s.dx.data});
}

}  // namespace secateur::cuda
