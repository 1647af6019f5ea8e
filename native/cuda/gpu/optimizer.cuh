// The rules of the optimizers, one element at a time, and the loop that runs one over a chunk of a tensor. The formulas
// are PyTorch's. Multiply-adds are spelled out, so that every kernel that uses a rule gets the same bits.
//
// A rule is made from its numbers and a row, and has
//   slots                  how many state tensors it keeps
//   operator()(w, g, s)    the new weight; s, the element's state, is updated
#pragma once
#include "gpu/element.cuh"
#include "gpu/optimizer.h"
#include "gpu/rows.cuh"

namespace secateur::cuda {

// An element's state; a rule uses the first `slots`.
struct Slots {
  float at[mostSlots];
};

// d = g + decay w; v = momentum v + d; w -= lr v (Nesterov: lr (d + momentum v)). Without momentum w -= lr d.
template <bool heavy>
struct SgdRule {
  static constexpr int slots = heavy ? 1 : 0;
  using Numbers = SgdNumbers;
  float minusLr, momentum, decay;
  bool nesterov;

  SECATEUR_GPU SgdRule(const SgdNumbers& n, const OptimizerRow&)
      : minusLr(-n.lr), momentum(n.momentum), decay(n.decay), nesterov(n.nesterov) {}
  SECATEUR_GPU float operator()(float w, float g, Slots& s) const {
    float d = fmaf(decay, w, g);
    if constexpr (heavy) {
      const float velocity = fmaf(momentum, s.at[0], d);
      s.at[0] = velocity;
      d = nesterov ? fmaf(momentum, velocity, d) : velocity;
    }
    return fmaf(minusLr, d, w);
  }
};

// m = beta1 m + (1 - beta1) d; v = beta2 v + (1 - beta2) d^2; w += minusRate m / (inverseRoot sqrt(v) + eps), where
// d = g + decay w, or decoupled d = g and w shrinks first.
struct AdamRule {
  static constexpr int slots = 2;
  using Numbers = AdamNumbers;
  float beta1, fresh1, beta2, fresh2, eps, shrink, decay, minusRate, inverseRoot;
  bool decoupled;

  SECATEUR_GPU AdamRule(const AdamNumbers& n, const OptimizerRow& row)
      : beta1(n.beta1),
        fresh1(n.fresh1),
        beta2(n.beta2),
        fresh2(n.fresh2),
        eps(n.eps),
        shrink(n.shrink),
        decay(n.decay),
        minusRate(row.minusRate),
        inverseRoot(row.inverseRoot),
        decoupled(n.decoupled) {}
  SECATEUR_GPU float operator()(float w, float g, Slots& s) const {
    const float d = decoupled ? g : fmaf(decay, w, g);
    const float mean = fmaf(beta1, s.at[0], __fmul_rn(fresh1, d));
    const float square = fmaf(beta2, s.at[1], __fmul_rn(__fmul_rn(fresh2, d), d));
    s.at[0] = mean;
    s.at[1] = square;
    const float denominator = fmaf(__fsqrt_rn(square), inverseRoot, eps);
    return fmaf(minusRate, __fdiv_rn(mean, denominator), __fmul_rn(w, shrink));
  }
};

// v = alpha v + (1 - alpha) d^2; u = d / (sqrt(v) + eps); w -= lr u. Centered, a = alpha a + (1 - alpha) d and the root
// is of v - a^2; with momentum b = momentum b + u and w -= lr b.
template <bool centered, bool heavy>
struct RmspropRule {
  static constexpr int slots = 1 + (centered ? 1 : 0) + (heavy ? 1 : 0);
  using Numbers = RmspropNumbers;
  float minusLr, alpha, fresh, eps, decay, momentum;

  SECATEUR_GPU RmspropRule(const RmspropNumbers& n, const OptimizerRow&)
      : minusLr(-n.lr), alpha(n.alpha), fresh(n.fresh), eps(n.eps), decay(n.decay), momentum(n.momentum) {}
  SECATEUR_GPU float operator()(float w, float g, Slots& s) const {
    const float d = fmaf(decay, w, g);
    float spread = fmaf(alpha, s.at[0], __fmul_rn(__fmul_rn(fresh, d), d));
    s.at[0] = spread;
    if constexpr (centered) {
      const float mean = fmaf(alpha, s.at[1], __fmul_rn(fresh, d));
      s.at[1] = mean;
      // A variance: below zero only by rounding.
      spread = fmaf(-mean, mean, spread);
      if (spread < 0) spread = 0;
    }
    float update = __fdiv_rn(d, __fadd_rn(__fsqrt_rn(spread), eps));
    if constexpr (heavy) {
      update = fmaf(momentum, s.at[slots - 1], update);
      s.at[slots - 1] = update;
    }
    return fmaf(minusLr, update, w);
  }
};

// Updates the elements of one chunk of a row: 16 bytes an access where all of the row's tensors allow it. `gradientAt`
// makes of weight and incoming gradient the one that the rule gets; `visit` sees every new weight. Gradient and state
// are streamed: nobody needs them before the next step.
template <class Grad, class Rule, class GradientAt, class Visit>
SECATEUR_GPU void updateChunk(const OptimizerRow& row, std::int64_t chunk, const Rule& rule, GradientAt gradientAt,
                              Visit visit) {
  constexpr int pack = perPack<Grad>;
  const std::int64_t begin = chunk * chunkSize;
  const auto length = static_cast<int>(row.n - begin < chunkSize ? row.n - begin : chunkSize);
  float* w = inGlobal(row.w) + begin;
  const Grad* g = inGlobal(static_cast<const Grad*>(row.g)) + begin;
  const auto update = [&](float& weight, Grad gradient, Slots& state) {
    weight = rule(weight, gradientAt(weight, toFloat(gradient)), state);
    visit(weight);
  };
  int done = 0;
  if (aligned(16, row.w, static_cast<const Grad*>(row.g), row.slots[0], row.slots[1], row.slots[2])) {
    done = length / pack * pack;
#pragma unroll 1
    for (int i = threadIdx.x * pack; i < done; i += chunkThreads * pack) {
      auto weights = loadPack<float, pack>(w + i);
      const auto gradients = loadStreamed<Grad, pack>(g + i);
      Pack<float, pack> states[mostSlots];
#pragma unroll
      for (int k = 0; k < Rule::slots; k++) states[k] = loadStreamed<float, pack>(inGlobal(row.slots[k]) + begin + i);
#pragma unroll
      for (int j = 0; j < pack; j++) {
        Slots state;
#pragma unroll
        for (int k = 0; k < Rule::slots; k++) state.at[k] = states[k].at[j];
        update(weights.at[j], gradients.at[j], state);
#pragma unroll
        for (int k = 0; k < Rule::slots; k++) states[k].at[j] = state.at[k];
      }
      storePack(w + i, weights);
#pragma unroll
      for (int k = 0; k < Rule::slots; k++) storeStreamed(inGlobal(row.slots[k]) + begin + i, states[k]);
    }
  }
  for (int i = done + threadIdx.x; i < length; i += chunkThreads) {
    Slots state;
#pragma unroll
    for (int k = 0; k < Rule::slots; k++) state.at[k] = inGlobal(row.slots[k])[begin + i];
    update(w[i], g[i], state);
#pragma unroll
    for (int k = 0; k < Rule::slots; k++) inGlobal(row.slots[k])[begin + i] = state.at[k];
  }
}

// All chunks of all rows.
template <class Rule>
SECATEUR_GPU void updateRows(const OptimizerParams<typename Rule::Numbers>& p) {
  __shared__ unsigned shared;
  for (std::int64_t chunk = blockIdx.x; chunk < p.chunks; chunk += gridDim.x) {
    const OptimizerRow row = p.rows[rowOf(p.rows, p.count, chunk, &shared)];
    updateChunk<float>(
        row, chunk - row.firstChunk, Rule(p.numbers, row), [](float, float g) { return g; }, [](float) {});
    __syncthreads();
  }
}

}  // namespace secateur::cuda
