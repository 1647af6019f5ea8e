// Means over sliding or adaptive windows, and their gradient.
#include "gpu/pool.cuh"

namespace secateur::cuda {

template <int N, class T>
SECATEUR_GPU void means(const PoolParams& p) {
  const auto* x = static_cast<const T*>(p.from);
  forPixels<N>(p, [&](std::int64_t image, int row, int column, std::int64_t at) {
    const auto down = p.down.window(row), across = p.across.window(column);
    float sum[N] = {};
    for (int r = down.begin; r < down.end; r++) {
      for (int s = across.begin; s < across.end; s++) {
        float v[N];
        fetch(x, image + (static_cast<std::int64_t>(r) * p.across.size + s) * p.channels, v);
#pragma unroll
        for (int j = 0; j < N; j++) sum[j] += v[j];
      }
    }
    const float scale = 1.0f / static_cast<float>(down.count * across.count);
#pragma unroll
    for (float& each : sum) each *= scale;
    put(static_cast<T*>(p.to), at, sum);
  });
}

template <int N, class T>
SECATEUR_GPU void spread(const PoolParams& p) {
  const auto* g = static_cast<const T*>(p.from);
  forPixels<N>(p, [&](std::int64_t image, int row, int column, std::int64_t at) {
    const auto down = p.down.cover(row), across = p.across.cover(column);
    float sum[N] = {};
    for (int i = down.first; i <= down.last; i++) {
      for (int j = across.first; j <= across.last; j++) {
        float v[N];
        fetch(g, image + (static_cast<std::int64_t>(i) * p.across.out + j) * p.channels, v);
        const float scale = 1.0f / static_cast<float>(p.down.window(i).count * p.across.window(j).count);
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] = fmaf(v[k], scale, sum[k]);
      }
    }
    put(static_cast<T*>(p.to), at, sum);
  });
}

SECATEUR_POOL(means, means)
SECATEUR_POOL(spread, spread)

}  // namespace secateur::cuda
