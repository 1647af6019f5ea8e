// Largest value of sliding windows, with the place in its window where it was found; and its gradient. A place takes
// one byte, unless windows have more than 256.
#include "gpu/pool.cuh"

namespace secateur::cuda {

template <class Place, int N, class T>
SECATEUR_GPU void largest(const PoolParams& p) {
  const auto* x = static_cast<const T*>(p.from);
  forPixels<N>(p, [&](std::int64_t image, int row, int column, std::int64_t at) {
    const int top = row * p.down.stride - p.down.padding, left = column * p.across.stride - p.across.padding;
    const auto down = p.down.window(row), across = p.across.window(column);
    float best[N] = {};
    int place[N];
#pragma unroll
    for (int j = 0; j < N; j++) place[j] = -1;
    for (int r = down.begin; r < down.end; r++) {
      for (int s = across.begin; s < across.end; s++) {
        float v[N];
        fetch(x, image + (static_cast<std::int64_t>(r) * p.across.size + s) * p.channels, v);
        const int here = (r - top) * p.across.kernel + s - left;
#pragma unroll
        for (int j = 0; j < N; j++) {
          // Every NaN takes over, and nothing is greater than a NaN.
          const bool wins = place[j] < 0 || v[j] > best[j] || v[j] != v[j];
          best[j] = wins ? v[j] : best[j];
          place[j] = wins ? here : place[j];
        }
      }
    }
    put(static_cast<T*>(p.to), at, best);
    Pack<Place, N> places;
#pragma unroll
    for (int j = 0; j < N; j++) places.at[j] = static_cast<Place>(place[j]);
    storePack(static_cast<Place*>(p.winnerOut) + at, places);
  });
}

template <class Place, int N, class T>
SECATEUR_GPU void largestGrad(const PoolParams& p) {
  const auto* g = static_cast<const T*>(p.from);
  const auto* winner = static_cast<const Place*>(p.winner);
  forPixels<N>(p, [&](std::int64_t image, int row, int column, std::int64_t at) {
    const auto down = p.down.cover(row), across = p.across.cover(column);
    float sum[N] = {};
    for (int i = down.first; i <= down.last; i++) {
      for (int j = across.first; j <= across.last; j++) {
        const std::int64_t from = image + (static_cast<std::int64_t>(i) * p.across.out + j) * p.channels;
        const int here = (row + p.down.padding - i * p.down.stride) * p.across.kernel + column + p.across.padding -
                         j * p.across.stride;
        const auto places = loadPack<Place, N>(winner + from);
        float v[N];
        fetch(g, from, v);
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] += static_cast<int>(places.at[k]) == here ? v[k] : 0.0f;
      }
    }
    put(static_cast<T*>(p.to), at, sum);
  });
}

template <int N, class T>
SECATEUR_GPU void byByte(const PoolParams& p) {
  largest<std::uint8_t, N, T>(p);
}
template <int N, class T>
SECATEUR_GPU void byWord(const PoolParams& p) {
  largest<std::int32_t, N, T>(p);
}
template <int N, class T>
SECATEUR_GPU void gradByByte(const PoolParams& p) {
  largestGrad<std::uint8_t, N, T>(p);
}
template <int N, class T>
SECATEUR_GPU void gradByWord(const PoolParams& p) {
  largestGrad<std::int32_t, N, T>(p);
}

SECATEUR_POOL(maxByByte, byByte)
SECATEUR_POOL(maxByWord, byWord)
SECATEUR_POOL(maxGradByByte, gradByByte)
SECATEUR_POOL(maxGradByWord, gradByWord)

}  // namespace secateur::cuda
