// Softmax cross-entropy and its gradient. Nothing of the size of the logits is kept: forward reads them once (2 bytes
// an element in bf16), gathering maximum and sum together; backward reads them, and writes the gradient (4 bytes).
#include "crossEntropy.h"

#include "gpu/lines.cuh"

namespace secateur::cuda {

// What smoothing needs of a row: the sum of w_k x_k, relative to the largest logit so far like the exponentials, so
// that logits far from zero lose nothing; and the sum of w_k.
struct Weighted {
  float shifted = 0, weights = 0;

  SECATEUR_GPU void move(float from, float to) { shifted = fmaf(weights, from - to, shifted); }
  SECATEUR_GPU void add(float weight, float x) {
    shifted = fmaf(weight, x, shifted);
    weights += weight;
  }
};

template <class T>
SECATEUR_GPU void crossEntropy(const CrossEntropyParams& p) {
  __shared__ float shared[32];
  const std::int64_t n = p.lines.n;
  const Team team(p.lines.team, shared);
  for (std::int64_t row = team.firstLine(); row < p.lines.count; row += team.lineStep()) {
    const T* x = static_cast<const T*>(p.x) + row * n;
    Exponentials e;
    Weighted w;
    spanOf<T>(team, n, x).each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N];
      fetch(x, i, v);
      const float before = e.origin();
      e.add(v);
      if (p.smoothing > 0) {
        w.move(before, e.origin());
#pragma unroll
        for (int j = 0; j < N; j++) w.add(p.targets.weightOf(i + j), v[j] - e.origin());
      }
    });
    const float own = e.origin();
    e.reduce(team);
    if (p.smoothing > 0) {
      w.move(own, e.origin());
      w.shifted = team.sum(w.shifted);
      w.weights = team.sum(w.weights);
    }
    if (team.rank != 0) continue;
    const float logSum = e.logSum();
    p.stats[2 * row] = e.largest;
    p.stats[2 * row + 1] = logSum;
    const std::int32_t y = p.targets.classOf(row);
    const float weight = y < 0 ? 0.0f : p.targets.weightOf(y);
    float loss = 0;
    if (y >= 0) loss = (1.0f - p.smoothing) * weight * (logSum - (toFloat(x[y]) - e.largest));
    // Left out without smoothing: there a logit of -infinity is no loss, and 0 times infinity would be NaN.
    if (y >= 0 && p.smoothing > 0) loss += p.smoothing / static_cast<float>(n) * (w.weights * logSum - w.shifted);
    p.each[row] = loss;
    if (p.weights != nullptr) p.weights[row] = weight;
  }
}

// The loss of a row is a weighted sum of -log p_k, each with the gradient p - onehot(k).
template <class T>
SECATEUR_GPU void crossEntropyGrad(const CrossEntropyGradParams& p) {
  __shared__ float shared[32];
  const Team team(p.lines.team, shared);
  const std::int64_t n = p.lines.n;
  const bool smooth = p.smoothing > 0;
  float weights = static_cast<float>(n);
  if (smooth && p.targets.weight != nullptr) {
    float sum = 0;
    for (std::int64_t k = team.rank; k < n; k += team.size) sum += p.targets.weight[k];
    weights = team.sum(sum);
  }
  const float spread = p.smoothing / static_cast<float>(n);
  const float divisor = p.divisor != nullptr ? *p.divisor : 1.0f;
  for (std::int64_t row = team.firstLine(); row < p.lines.count; row += team.lineStep()) {
    const T* x = static_cast<const T*>(p.x) + row * n;
    T* dx = static_cast<T*>(p.dx) + row * n;
    const std::int32_t y = p.targets.classOf(row);
    const float up = y < 0 ? 0.0f : p.g[p.perRow ? row : 0] / divisor;
    const float own = y < 0 ? 0.0f : (1.0f - p.smoothing) * p.targets.weightOf(y);
    const float scale = up * fmaf(spread, weights, own);
    const float largest = p.stats[2 * row], logSum = p.stats[2 * row + 1];
    spanOf<T>(team, n, x, dx).each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N];
      fetch(x, i, v);
#pragma unroll
      for (int j = 0; j < N; j++) {
        float d = expOf(v[j] - largest - logSum) * scale;
        if (smooth) d = fmaf(-up * spread, p.targets.weightOf(i + j), d);
        if (i + j == y) d -= up * own;
        v[j] = y < 0 ? 0.0f : d;
      }
      put(dx, i, v);
    });
  }
}

extern "C" {
__global__ void crossEntropy_f32(const __grid_constant__ CrossEntropyParams p) { crossEntropy<float>(p); }
__global__ void crossEntropy_bf16(const __grid_constant__ CrossEntropyParams p) { crossEntropy<bf16>(p); }
__global__ void crossEntropyGrad_f32(const __grid_constant__ CrossEntropyGradParams p) { crossEntropyGrad<float>(p); }
__global__ void crossEntropyGrad_bf16(const __grid_constant__ CrossEntropyGradParams p) { crossEntropyGrad<bf16>(p); }
}

}  // namespace secateur::cuda
