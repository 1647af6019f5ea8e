// PDP's effective weight y = m w, and its gradient dw = g (m + 2 w^2 / tau m (1 - m)), with the threshold read from
// device memory.
//
// Bytes an element: forward reads w (4) and writes y (4, or 2 in bf16): 8 or 6. Backward reads w (4) and g (4 or 2),
// recomputes the mask and writes dw (4): 12 or 10. Nothing else touches memory, so both stand at their floor. Where
// nothing is pruned (k = 0) the same loop copies.
//
// The derivative through the threshold is an option that nobody's recipe needs: it reads w and g once more. Every block
// sums its chunk in a fixed order, so that the total, added up by one block in the order of the chunks, is always the
// same.
#include "pdpWeight.h"

#include "gpu/element.cuh"
#include "gpu/pdp.cuh"
#include "gpu/reduce.cuh"
#include "gpu/rows.h"

namespace secateur::cuda {

SECATEUR_GPU float thresholdOf(const PdpRow& row) { return row.levels[3 * row.layer + 2]; }
SECATEUR_GPU bool nothingPruned(const PdpRow& row) { return row.counts[2 * row.layer] == 0; }

template <class Out>
SECATEUR_GPU void pdpWeight(const PdpWeightParams& p) {
  auto* y = static_cast<Out*>(p.y);
  if (nothingPruned(p.row))
    return mapElements<perPack<Out>>(
        p.n, y, [](float w) { return w; }, p.w);
  const PdpMask mask(thresholdOf(p.row), p.tau);
  mapElements<perPack<Out>>(
      p.n, y, [&](float w) { return mask.product(w); }, p.w);
}

template <class Grad>
SECATEUR_GPU void pdpWeightGrad(const PdpWeightGradParams& p) {
  const auto* g = static_cast<const Grad*>(p.g);
  if (nothingPruned(p.row))
    return mapElements<perPack<Grad>>(
        p.n, p.dw, [](float u) { return u; }, g);
  const PdpMask mask(thresholdOf(p.row), p.tau);
  mapElements<perPack<Grad>>(
      p.n, p.dw, [&](float w, float u) { return mask.gradient(w, u); }, p.w, g);
}

// sum of g w m (1 - m) over a chunk, and the first holders of a_k and a_(k+1).
template <class Grad>
SECATEUR_GPU void pdpThresholdTerms(const PdpThresholdGradParams& p) {
  __shared__ float shared[chunkThreads / 32];
  if (nothingPruned(p.row)) return;
  const auto* g = static_cast<const Grad*>(p.g);
  const float* levels = p.row.levels + 3 * p.row.layer;
  const float lower = levels[0], upper = levels[1];
  const PdpMask mask(levels[2], p.tau);
  const std::int64_t begin = blockIdx.x * chunkSize;
  const std::int64_t end = begin + chunkSize < p.n ? begin + chunkSize : p.n;
  float sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += chunkThreads) {
    const float w = p.w[i];
    const float e = mask.odds(fabsf(w));
    const float m = reciprocalApprox(__fadd_rn(1.0f, e));
    sum = fmaf(toFloat(g[i]), w * mask.slope(e, m), sum);
    if (fabsf(w) == lower) atomicMax(&p.holders[0], ~static_cast<unsigned>(i));
    if (fabsf(w) == upper) atomicMax(&p.holders[1], ~static_cast<unsigned>(i));
  }
  sum = blockReduce(sum, Add(), 0.0f, shared);
  if (threadIdx.x == 0) p.partial[blockIdx.x] = sum;
}

// dL/dt = -2 t / tau times the sum; half of it goes, with the weight's sign, to each holder.
SECATEUR_GPU void spreadThroughThreshold(const PdpThresholdGradParams& p) {
  __shared__ float shared[chunkThreads / 32];
  if (nothingPruned(p.row)) return;
  float sum = 0;
  for (std::int64_t c = threadIdx.x; c < p.chunks; c += chunkThreads) sum += p.partial[c];
  sum = blockReduce(sum, Add(), 0.0f, shared);
  if (threadIdx.x != 0) return;
  const float half = -0.5f * sum * thresholdOf(p.row) * p.tau.sharpness;
  for (int side = 0; side < 2; side++) {
    if (p.holders[side] == 0) continue;
    const unsigned i = ~p.holders[side];
    const float w = p.w[i];
    p.dw[i] += w > 0 ? half : w < 0 ? -half : 0.0f;
  }
}

extern "C" {
__global__ void pdpWeight_f32(const __grid_constant__ PdpWeightParams p) { pdpWeight<float>(p); }
__global__ void pdpWeight_bf16(const __grid_constant__ PdpWeightParams p) { pdpWeight<bf16>(p); }
__global__ void pdpWeightGrad_f32(const __grid_constant__ PdpWeightGradParams p) { pdpWeightGrad<float>(p); }
__global__ void pdpWeightGrad_bf16(const __grid_constant__ PdpWeightGradParams p) { pdpWeightGrad<bf16>(p); }
__global__ void pdpThresholdTerms_f32(const __grid_constant__ PdpThresholdGradParams p) { pdpThresholdTerms<float>(p); }
__global__ void pdpThresholdTerms_bf16(const __grid_constant__ PdpThresholdGradParams p) { pdpThresholdTerms<bf16>(p); }
__global__ void pdpThresholdSpread(const __grid_constant__ PdpThresholdGradParams p) { spreadThroughThreshold(p); }
}

}  // namespace secateur::cuda
