#include "gradNorm.h"

#include "host/launch.h"
#include "ops/gradNorm.h"

CUDA_IMAGE(gradNorm)

namespace secateur::cuda {

KERNEL(gradNorm, F32)(const GradNormArgs& a) {
  static Kernel squares(images::gradNorm, "squares");
  static Kernel normOf(images::gradNorm, "normOf");
  constexpr std::int64_t chunk = 8192;
  std::int64_t chunks = 0;
  for (const View& g : a.g) chunks += (g.size() + chunk - 1) / chunk;
  auto* partial = scratch<float>(3 * chunks);
  std::int64_t at = 0;
  for (const View& g : a.g) {
    const std::int64_t n = g.size();
    const std::int64_t own = (n + chunk - 1) / chunk;
    launch(squares, elementBlocks(n, chunk), 256, SquaresParams{g.as<float>(), n, partial + 3 * at});
    at += own;
  }
  launch(normOf, 1, 256, NormOfParams{partial, chunks, a.norm.as<float>()});
}

KERNEL(clipGrads, F32)(const ClipGradsArgs& a) {
  static Kernel clip(images::gradNorm, "clip");
  const Number maxNorm = live(a.maxNorm);
  for (const View& g : a.g)
    launch(clip, elementBlocks(g.size()), 256, ClipParams{a.norm.as<float>(), g.as<float>(), g.size(), maxNorm});
}

}  // namespace secateur::cuda
