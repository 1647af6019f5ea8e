// Launching losses that are a sum over elements (gpu/elementLoss.cuh).
#pragma once
#include "gpu/elementLoss.h"
#include "host/launch.h"
#include "host/lossTotal.h"

namespace secateur::cuda {

// Args: those of an op with x, target, reduction and loss. `weight` may be absent.
template <class Args>
void launchElementLoss(Kernels& kernels, const Args& s, const View& weight) {
  const std::int64_t n = s.x.size(), chunks = (n + lossChunk - 1) / lossChunk;
  const bool each = s.reduction == Args::Reduction::none;
  float* loss = each ? s.loss.template as<float>() : scratch<float>(chunks);
  launch(kernels[s.x.dtype], chunks, lossThreads,
         ElementLossParams{s.x.data, s.target.data, weight.present ? weight.as<float>() : nullptr, weight.size(), n,
                           loss, each});
  if (each) return;
  const float count = s.reduction == Args::Reduction::mean ? static_cast<float>(n) : 1.0f;
  launchLossTotal({loss, nullptr, chunks, count, s.loss.template as<float>(), nullptr});
}

template <class Args>
void launchElementLossGrad(Kernels& kernels, const Args& s, const View& weight) {
  const std::int64_t n = s.x.size();
  const float scale = s.reduction == Args::Reduction::mean ? 1.0f / static_cast<float>(n) : 1.0f;
  launch(kernels[s.x.dtype], (n + lossChunk - 1) / lossChunk, lossThreads,
         ElementLossGradParams{s.x.data, s.target.data, weight.present ? weight.as<float>() : nullptr, weight.size(), n,
                               s.g.template as<float>(), s.reduction == Args::Reduction::none, scale, s.dx.data});
}

}  // namespace secateur::cuda
