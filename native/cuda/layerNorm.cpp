#include "layerNorm.h"

#include "host/lines.h"
#include "ops/layerNorm.h"

CUDA_IMAGE(layerNorm)

namespace secateur::cuda {

static const float* valuesOf(const View& v) { return v.present ? v.as<float>() : nullptr; }

KERNEL(layerNorm, F32 | BF16)(const LayerNormArgs& s) {
  static Kernels forward(images::layerNorm, "layerNorm");
  const LineLaunch l = lineLaunch(s.mean.size(), s.x.back(1), s.x.dtype, 1);
  launch(forward[s.x.dtype], l.blocks, l.threads,
         LayerNormParams{s.x.data, s.y.data, l.lines, valuesOf(s.weight), valuesOf(s.bias), s.mean.as<float>(),
                         s.rstd.as<float>(), static_cast<float>(s.eps)},
         l.shared);
}

KERNEL(layerNormGrad, F32 | BF16)(const LayerNormGradArgs& s) {
  static Kernels backward(images::layerNorm, "layerNormGrad");
  static Kernel totals(images::layerNorm, "layerNormTotals");
  const std::int64_t n = s.x.back(1), rows = s.mean.size();
  const LineLaunch l = lineLaunch(rows, n, s.x.dtype, 2, 2 * n * static_cast<std::int64_t>(sizeof(float)));
  // At most 512 chunks of at least 16 lines, or eight a warp.
  const std::int64_t even = (rows + 511) / 512;
  const std::int64_t least = l.teams > 1 ? 8 * l.teams : 16;
  const std::int64_t chunk = even > least ? even : least;
  const std::int64_t chunks = (rows + chunk - 1) / chunk;
  auto* partial = scratch<float>(chunks * 2 * n);
  launch(backward[s.x.dtype], chunks, l.threads,
         LayerNormGradParams{s.x.data, s.g.data, s.dx.data, l.lines, chunk, valuesOf(s.weight), s.mean.as<float>(),
                             s.rstd.as<float>(), partial},
         l.shared);
  launch(totals, (n + partChannels - 1) / partChannels, partThreads,
         LayerNormTotalsParams{partial, chunks, n, s.dweight.as<float>(), s.dbias.as<float>()});
}

}  // namespace secateur::cuda
