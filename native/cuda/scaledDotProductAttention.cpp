#include "scaledDotProductAttention.h"

#include "host/launch.h"
#include "host/product.h"
#include "ops/scaledDotProductAttention.h"
#include "vendor/scaledDotProductAttention.h"

CUDA_IMAGE(scaledDotProductAttention)

namespace secateur::cuda {

namespace {

constexpr int narrow = 64, broad = 128;

// How wide a tile is: broad for heads that a narrow one would cut. In f32 that would not fit into shared memory.
int widthFor(const View& q) { return q.dtype == DType::bf16 && q.back(1) > narrow ? broad : narrow; }

AttentionShape shapeOf(const View& q, const View& k, bool causal, double scale) {
  const std::int64_t d = q.back(1), width = widthFor(q);
  AttentionShape s{};
  s.queries = q.back(2);
  s.keys = k.back(2);
  s.heads = q.dims[1];
  s.d = static_cast<int>(d);
  s.slices = d <= width ? 1 : static_cast<int>((d + width - 1) / width);
  s.causal = causal;
  s.scale = static_cast<float>(scale);
  return s;
}

// Blocks of a kernel whose own rows are those of x.
std::int64_t blocksOver(const View& x, const AttentionShape& s) {
  return x.dims[0] * x.dims[1] * ((x.back(2) + attentionRows - 1) / attentionRows) * s.slices;
}

bool linesPacked(const View& x) { return readsPacked(x.dtype, x.data, x.back(1)); }

struct AttentionKernels {
  Kernels ordinary;
  Kernel wide;
  Kernel& operator[](const View& q) { return widthFor(q) == broad ? wide : ordinary[q.dtype]; }
};

}  // namespace

KERNEL(scaledDotProductAttention, F32 | BF16)(const ScaledDotProductAttentionArgs& a) {
  if (cudnnAttention(a)) return;
  static AttentionKernels forward{{images::scaledDotProductAttention, "attention"},
                                  {images::scaledDotProductAttention, "attentionBroad_bf16"}};
  AttentionParams p{shapeOf(a.q, a.k, a.causal, a.scale),
                    a.q.data,
                    a.k.data,
                    a.v.data,
                    a.keyMask.present ? a.keyMask.as<std::uint8_t>() : nullptr,
                    a.y.data,
                    a.lse.as<float>()};
  p.shape.packed = linesPacked(a.q) && linesPacked(a.k) && linesPacked(a.v);
  launch(forward[a.q], blocksOver(a.q, p.shape), attentionThreads, p,
         forwardBytes(static_cast<int>(bytesOf(a.q.dtype)), widthFor(a.q)));
}

KERNEL(scaledDotProductAttentionGrad, F32 | BF16)(const ScaledDotProductAttentionGradArgs& a) {
  if (cudnnAttentionGrad(a)) return;
  static Kernels sums(images::scaledDotProductAttention, "attentionDelta");
  static AttentionKernels queries{{images::scaledDotProductAttention, "attentionQueryGrad"},
                                  {images::scaledDotProductAttention, "attentionQueryGradBroad_bf16"}};
  static AttentionKernels keys{{images::scaledDotProductAttention, "attentionKeyGrad"},
                               {images::scaledDotProductAttention, "attentionKeyGradBroad_bf16"}};
  auto* delta = scratch<float>(a.lse.size());
  launch(sums[a.g.dtype], elementBlocks(a.lse.size(), 8), 256,
         AttentionDeltaParams{a.g.data, a.y.data, delta, a.lse.size(), static_cast<int>(a.q.back(1))});
  AttentionGradParams p{shapeOf(a.q, a.k, a.causal, a.scale),
                        a.q.data,
                        a.k.data,
                        a.v.data,
                        a.keyMask.present ? a.keyMask.as<std::uint8_t>() : nullptr,
                        a.g.data,
                        a.lse.as<float>(),
                        delta,
                        a.dq.data,
                        a.dk.data,
                        a.dv.data};
  p.shape.packed = linesPacked(a.q) && linesPacked(a.k) && linesPacked(a.v) && linesPacked(a.g);
  const unsigned bytes = backwardBytes(static_cast<int>(bytesOf(a.q.dtype)), widthFor(a.q));
  launch(queries[a.q], blocksOver(a.q, p.shape), attentionThreads, p, bytes);
  launch(keys[a.q], blocksOver(a.k, p.shape), attentionThreads, p, bytes);
}

}  // namespace secateur::cuda
