#include "layerNorm.h"

#include <algorithm>

#include "host/lines.h"
#include "ops/layerNorm.h"

CUDA_IMAGE(layerNorm)

namespace secateur::cuda {

static const float* valuesOf(const View& v) { return v.present ? v.as<float>() : nullptr; }

// The sums of a chunk for weight and bias cost 16 bytes a column, written and read: at 64 lines a quarter of a byte an
// element. Blocks that have one line at a time get half of that, since a line is long work; where lines are few, it is
// more important that 64 blocks have some, and where they are many, 512 blocks are enough.
static std::int64_t linesOfChunk(std::int64_t rows, int teams) {
  const std::int64_t busy = (rows + 63) / 64, enough = (rows + 511) / 512;
  return std::max(enough, std::clamp<std::int64_t>(busy, 16, teams > 1 ? 64 : 32));
}

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
  const LineLaunch l = lineLaunch(rows, n, s.x.dtype, 2, 2 * n * static_cast<std::int64_t>(sizeof(float)), 8);
  const std::int64_t chunk = linesOfChunk(rows, l.teams);
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
