// Losses that are a sum over elements, and their gradients: 4 bytes an element forward in bf16, 6 backward. A block has
// a chunk of fixed length, and sums it in a fixed order.
#pragma once
#include "gpu/elementLoss.h"
#include "gpu/lines.cuh"

namespace secateur::cuda {

// The weights of elements i .. i + N - 1.
template <int N, class Params>
SECATEUR_GPU void fetchWeights(const Params& p, std::int64_t i, float (&weight)[N]) {
  std::int64_t k = p.weight != nullptr ? i % p.columns : 0;
#pragma unroll
  for (int j = 0; j < N; j++) {
    weight[j] = p.weight != nullptr ? p.weight[k] : 1.0f;
    k = k + 1 == p.columns ? 0 : k + 1;
  }
}

// value(x, target, weight) is an element's loss.
template <class T, class Value>
SECATEUR_GPU void elementLoss(const ElementLossParams& p, Value value) {
  __shared__ float shared[32];
  const Team team(lossThreads, shared);
  const std::int64_t begin = blockIdx.x * lossChunk;
  const auto* x = static_cast<const T*>(p.x) + begin;
  const auto* target = static_cast<const T*>(p.target) + begin;
  float sum = 0;
  spanOf<T>(team, min(lossChunk, p.n - begin), x, target).each([&](auto count, std::int64_t i) {
    constexpr int N = decltype(count)::value;
    float v[N], t[N], weight[N];
    fetch(x, i, v);
    fetch(target, i, t);
    fetchWeights(p, begin + i, weight);
#pragma unroll
    for (int j = 0; j < N; j++) {
      v[j] = value(v[j], t[j], weight[j]);
      sum += v[j];
    }
    if (p.each) putAnywhere(p.loss + begin, i, v);
  });
  if (p.each) return;
  sum = team.sum(sum);
  if (team.rank == 0) p.loss[blockIdx.x] = sum;
}

// slope(x, target, weight) is the derivative of an element's loss.
template <class T, class Slope>
SECATEUR_GPU void elementLossGrad(const ElementLossGradParams& p, Slope slope) {
  const Team team(lossThreads);
  const std::int64_t begin = blockIdx.x * lossChunk;
  const auto* x = static_cast<const T*>(p.x) + begin;
  const auto* target = static_cast<const T*>(p.target) + begin;
  auto* dx = static_cast<T*>(p.dx) + begin;
  spanOf<T>(team, min(lossChunk, p.n - begin), x, target, dx).each([&](auto count, std::int64_t i) {
    constexpr int N = decltype(count)::value;
    float v[N], t[N], weight[N], up[N];
    fetch(x, i, v);
    fetch(target, i, t);
    fetchWeights(p, begin + i, weight);
    if (p.each) {
      fetchOr(1, p.g + begin, i, up);
    } else {
#pragma unroll
      for (int j = 0; j < N; j++) up[j] = *p.g;
    }
#pragma unroll
    for (int j = 0; j < N; j++) v[j] = up[j] * p.scale * slope(v[j], t[j], weight[j]);
    put(dx, i, v);
  });
}

}  // namespace secateur::cuda

// The kernels of a loss with this value and this derivative, for both dtypes.
#define SECATEUR_ELEMENT_LOSS(name, value, slope)                                        \
  extern "C" {                                                                           \
  __global__ void name##_f32(const __grid_constant__ ElementLossParams p) {              \
    elementLoss<float>(p, [](float x, float t, float w) { return value(x, t, w); });     \
  }                                                                                      \
  __global__ void name##_bf16(const __grid_constant__ ElementLossParams p) {             \
    elementLoss<bf16>(p, [](float x, float t, float w) { return value(x, t, w); });      \
  }                                                                                      \
  __global__ void name##Grad_f32(const __grid_constant__ ElementLossGradParams p) {      \
    elementLossGrad<float>(p, [](float x, float t, float w) { return slope(x, t, w); }); \
  }                                                                                      \
  __global__ void name##Grad_bf16(const __grid_constant__ ElementLossGradParams p) {     \
    elementLossGrad<bf16>(p, [](float x, float t, float w) { return slope(x, t, w); });  \
  }                                                                                      \
  }
