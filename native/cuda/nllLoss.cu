// The log-probability of each row's class, and the gradient, which is zero elsewhere.
#include "nllLoss.h"

#include "gpu/lines.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void nllLoss(const NllLossParams& p) {
  for (std::int64_t row = threadIndex(); row < p.rows; row += threadTotal()) {
    const std::int32_t y = p.targets.classOf(row);
    const float weight = y < 0 ? 0.0f : p.targets.weightOf(y);
    p.each[row] = y < 0 ? 0.0f : -weight * toFloat(static_cast<const T*>(p.x)[row * p.classes + y]);
    if (p.weights != nullptr) p.weights[row] = weight;
  }
}

template <class T>
SECATEUR_GPU void nllLossGrad(const NllLossGradParams& p) {
  const Team team(p.lines.team);
  for (std::int64_t row = team.firstLine(); row < p.lines.count; row += team.lineStep()) {
    T* dx = static_cast<T*>(p.dx) + row * p.lines.n;
    const std::int32_t y = p.targets.classOf(row);
    float own = 0;
    if (y >= 0) own = -p.targets.weightOf(y) * (p.g[p.perRow ? row : 0] / (p.divisor != nullptr ? *p.divisor : 1.0f));
    spanOf<T>(team, p.lines.n, dx).each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N];
#pragma unroll
      for (int j = 0; j < N; j++) v[j] = i + j == y ? own : 0.0f;
      put(dx, i, v);
    });
  }
}

extern "C" {
__global__ void nllLoss_f32(const __grid_constant__ NllLossParams p) { nllLoss<float>(p); }
__global__ void nllLoss_bf16(const __grid_constant__ NllLossParams p) { nllLoss<bf16>(p); }
__global__ void nllLossGrad_f32(const __grid_constant__ NllLossGradParams p) { nllLossGrad<float>(p); }
__global__ void nllLossGrad_bf16(const __grid_constant__ NllLossGradParams p) { nllLossGrad<bf16>(p); }
}

}  // namespace secateur::cuda
