#include "gradNorm.h"

#include <vector>

#include "host/launch.h"
#include "host/pdp.h"
#include "ops/gradNorm.h"

CUDA_IMAGE(gradNorm)

namespace secateur::cuda {

namespace {

// The rows of a launch; those of masked gradients name their layer.
class GradTable {
 public:
  void add(const float* w, void* g, std::int64_t n, int layer) {
    rows_.push_back({w, g, n, chunks_, layer});
    chunks_ += chunksOf(n);
  }
  explicit GradTable(std::size_t room) { rows_.reserve(room); }
  std::int64_t chunks() const { return chunks_; }
  std::int64_t blocks() const {
    const std::int64_t most = std::int64_t{8} * multiprocessors();
    return chunks_ < most ? chunks_ : most;
  }
  GradRows onDevice() const { return {table(rows_.data(), rows_.size()), static_cast<int>(rows_.size()), chunks_}; }

 private:
  std::vector<GradRow> rows_;
  std::int64_t chunks_ = 0;
};

GradTable plainTable(const List<View>& grads) {
  GradTable rows(grads.size());
  for (const View& g : grads) rows.add(nullptr, g.data, g.size(), 0);
  return rows;
}

void normOf(const GradTable& rows, SquaresParams p, DType dtype, float* norm) {
  static Kernels squares(images::gradNorm, "squares");
  static Kernel combine(images::gradNorm, "normOf");
  p.partial = scratch<float>(3 * rows.chunks());
  if (rows.chunks() > 0) {
    p.grads = rows.onDevice();
    launch(squares[dtype], rows.blocks(), chunkThreads, p);
  }
  launch(combine, 1, 256, NormOfParams{p.partial, rows.chunks(), norm});
}

}  // namespace

KERNEL(gradNorm, F32)(const GradNormArgs& a) { normOf(plainTable(a.g), {}, DType::f32, a.norm.as<float>()); }

KERNEL(pdpGradNorm, F32 | BF16)(const PdpGradNormArgs& a) {
  const std::size_t all = a.plain.size() + a.w.size();
  std::vector<int> layerAt(all, -1);
  for (std::size_t l = 0; l < a.w.size(); l++) layerAt[static_cast<std::size_t>(a.places[l])] = static_cast<int>(l);
  GradTable rows(all);
  std::size_t next = 0;
  for (const int layer : layerAt) {
    if (layer < 0) {
      const View& g = a.plain[next++];
      rows.add(nullptr, g.data, g.size(), 0);
    } else {
      const auto l = static_cast<std::size_t>(layer);
      rows.add(a.w[l].as<float>(), a.g[l].data, a.w[l].size(), layer);
    }
  }
  SquaresParams p{};
  p.levels = a.levels.as<float>();
  p.counts = a.counts.as<std::int32_t>();
  p.tau = temperature(a.tau);
  normOf(rows, p, a.w.size() > 0 ? a.g[0].dtype : DType::f32, a.norm.as<float>());
}

KERNEL(clipGrads, F32)(const ClipGradsArgs& a) {
  static Kernel clip(images::gradNorm, "clip");
  const Clip to{a.norm.as<float>(), live(a.maxNorm)};
  const GradTable rows = plainTable(a.g);
  if (rows.chunks() > 0) launch(clip, rows.blocks(), chunkThreads, ClipParams{rows.onDevice(), to});
}

}  // namespace secateur::cuda
