// Batch normalisation over [rows, channels], with an optional addition and relu.
//
//   y = relu( weight (x - mean) rstd + bias + add )        rstd = 1 / sqrt(variance + eps)
//
// With g the incoming gradient where relu let through, else 0, and m rows:
//
//   dadd = g     dbias = sum g     dweight = sum g (x - mean) rstd
//   dx = weight rstd ( g - dbias / m - (x - mean) rstd dweight / m )
//
// Bytes an element in bf16. Forward reads x for the statistics (2), reads it again and writes y (4): 6. Backward reads
// x and g (4), reads both again and writes dx (6): 10; relu's mask is computed again from x. With an addition the mask
// comes from y, and dadd is written in the first pass and read in place of g in the second: 8 and 6.
//
// The second pass goes through the chunks backwards, to begin with what the L2 still holds. A chunk sums its values
// relative to its first row, and chunks are joined relative to the first one's mean, so that a mean far from zero costs
// no precision; all in an order that the shape alone decides.
#include "batchNorm.h"

#include "gpu/columns.cuh"

namespace secateur::cuda {

// Forward and backward both use this: relu's mask must see the same bits.
template <int N>
struct Normal {
  float mean[N], scale[N], shift[N];

  template <class Params>
  SECATEUR_GPU Normal(const Params& p, std::int64_t channel) {
    float rstd[N];
    fetchOr(0, p.mean, channel, mean);
    fetchOr(0, p.weight, channel, scale);
    fetchOr(0, p.rstd, channel, rstd);
    fetchOr(0, p.bias, channel, shift);
#pragma unroll
    for (int j = 0; j < N; j++) scale[j] = __fmul_rn(scale[j], rstd[j]);
  }
  SECATEUR_GPU float operator()(float x, int j) const { return fmaf(__fsub_rn(x, mean[j]), scale[j], shift[j]); }
};

// NaN passes.
SECATEUR_GPU float keepPositive(float x, float sign) { return sign <= 0 ? 0.0f : x; }

template <int N, class T>
SECATEUR_GPU void moments(const BatchNormMomentsParams& p) {
  __shared__ float shared[tileThreads / 32 * Tile<N>::channels];
  const Tile<N> tile(p.m, false);
  const auto* x = static_cast<const T*>(p.x);
  const std::int64_t top = tile.begin * p.m.channels;
  float origin[N] = {}, sum[N] = {}, squares[N] = {};
  if (tile.inside()) fetch(x, top + tile.own, origin);
  tile.each([&](std::int64_t i) {
    float v[N];
    fetch(x, i, v);
#pragma unroll
    for (int j = 0; j < N; j++) {
      const float d = v[j] - origin[j];
      sum[j] += d;
      squares[j] = fmaf(d, d, squares[j]);
    }
  });
  const float total = tile.sum(sum, shared), square = tile.sum(squares, shared);
  if (!tile.owner()) return;
  const std::int64_t channel = tile.first + threadIdx.x;
  const float offset = total / static_cast<float>(tile.end - tile.begin);
  float* partial = p.partial + 2 * tile.chunk * p.m.channels + channel;
  partial[0] = toFloat(x[top + channel]) + offset;
  partial[p.m.channels] = fmaf(-total, offset, square);
}

// Mean and variance from those of the chunks (Chan, Golub and LeVeque); the running ones move towards them.
extern "C" __global__ void __launch_bounds__(partThreads, 1)
    batchNormStatistics(const __grid_constant__ BatchNormStatisticsParams p) {
  __shared__ float shared[partThreads];
  const std::int64_t channel = partChannel();
  const bool inside = channel < p.m.channels;
  const float rows = static_cast<float>(p.m.rows);
  const float origin = inside ? p.partial[channel] : 0.0f;
  const auto part = [&](std::int64_t k, int which) {
    return inside ? p.partial[(2 * k + which) * p.m.channels + channel] : 0.0f;
  };
  const auto size = [&](std::int64_t k) { return static_cast<float>(min(p.m.chunk, p.m.rows - k * p.m.chunk)); };
  const float offset =
      sumParts(p.m.chunks, shared, [&](std::int64_t k) { return size(k) * (part(k, 0) - origin); }) / rows;
  const float squares = sumParts(p.m.chunks, shared, [&](std::int64_t k) {
    const float d = part(k, 0) - origin - offset;
    return fmaf(size(k) * d, d, part(k, 1));
  });
  if (!inside || threadIdx.x >= partChannels) return;
  const float mean = origin + offset;
  p.mean[channel] = mean;
  p.rstd[channel] = 1.0f / sqrtf(squares / rows + p.eps);
  p.runningMean[channel] += p.momentum * (mean - p.runningMean[channel]);
  p.runningVar[channel] += p.momentum * (squares / (rows - 1.0f) - p.runningVar[channel]);
}

// Evaluation: the running statistics as they are now, kept for backward too, which may come after they have moved.
extern "C" __global__ void batchNormGiven(const __grid_constant__ BatchNormStatisticsParams p) {
  for (std::int64_t c = threadIndex(); c < p.m.channels; c += threadTotal()) {
    p.mean[c] = p.runningMean[c];
    p.rstd[c] = 1.0f / sqrtf(p.runningVar[c] + p.eps);
  }
}

template <int N, class T>
SECATEUR_GPU void apply(const BatchNormApplyParams& p) {
  const Tile<N> tile(p.m, true);
  if (!tile.inside()) return;
  const Normal<N> normal(p, tile.own);
  tile.each([&](std::int64_t i) {
    float v[N], add[N] = {};
    fetch(static_cast<const T*>(p.x), i, v);
    if (p.add != nullptr) fetch(static_cast<const T*>(p.add), i, add);
#pragma unroll
    for (int j = 0; j < N; j++) {
      v[j] = normal(v[j], j) + add[j];
      if (p.relu) v[j] = keepPositive(v[j], v[j]);
    }
    put(static_cast<T*>(p.y), i, v);
  });
}

// g where relu let through.
template <class T, int N, class Params>
SECATEUR_GPU void fetchMasked(const Params& p, const Normal<N>& normal, std::int64_t i, const float (&x)[N],
                              float (&g)[N]) {
  fetch(static_cast<const T*>(p.g), i, g);
  if (!p.relu) return;
  float y[N];
  if (p.y != nullptr) fetch(static_cast<const T*>(p.y), i, y);
#pragma unroll
  for (int j = 0; j < N; j++) g[j] = keepPositive(g[j], p.y != nullptr ? y[j] : normal(x[j], j));
}

// Sums of g and of g (x - mean).
template <int N, class T>
SECATEUR_GPU void sums(const BatchNormSumsParams& p) {
  __shared__ float shared[tileThreads / 32 * Tile<N>::channels];
  const Tile<N> tile(p.m, false);
  float sum[N] = {}, product[N] = {};
  if (tile.inside()) {
    const Normal<N> normal(p, tile.own);
    tile.each([&](std::int64_t i) {
      float x[N], g[N];
      fetch(static_cast<const T*>(p.x), i, x);
      fetchMasked<T>(p, normal, i, x, g);
      if (p.dadd != nullptr) put(static_cast<T*>(p.dadd), i, g);
#pragma unroll
      for (int j = 0; j < N; j++) {
        sum[j] += g[j];
        product[j] = fmaf(g[j], x[j] - normal.mean[j], product[j]);
      }
    });
  }
  const float total = tile.sum(sum, shared), products = tile.sum(product, shared);
  if (!tile.owner()) return;
  float* partial = p.partial + 2 * tile.chunk * p.m.channels + tile.first + threadIdx.x;
  partial[0] = total;
  partial[p.m.channels] = products;
}

extern "C" __global__ void __launch_bounds__(partThreads, 1)
    batchNormTotals(const __grid_constant__ BatchNormTotalsParams p) {
  __shared__ float shared[partThreads];
  const std::int64_t channel = partChannel();
  const bool inside = channel < p.m.channels;
  const auto sum = [&](int which) {
    return sumParts(p.m.chunks, shared, [&](std::int64_t k) {
      return inside ? p.partial[(2 * k + which) * p.m.channels + channel] : 0.0f;
    });
  };
  const float dbias = sum(0), products = sum(1);
  if (!inside || threadIdx.x >= partChannels) return;
  p.dbias[channel] = dbias;
  p.dweight[channel] = products * p.rstd[channel];
}

template <int N, class T>
SECATEUR_GPU void gradient(const BatchNormGradParams& p) {
  const Tile<N> tile(p.m, true);
  if (!tile.inside()) return;
  const Normal<N> normal(p, tile.own);
  // dx = scale g + onInput (x - mean) + constant
  float onInput[N] = {}, constant[N] = {};
  if (p.training) {
    float rstd[N];
    fetchOr(0, p.rstd, tile.own, rstd);
    fetchOr(0, p.dweight, tile.own, onInput);
    fetchOr(0, p.dbias, tile.own, constant);
    const float rows = static_cast<float>(p.m.rows);
#pragma unroll
    for (int j = 0; j < N; j++) {
      onInput[j] *= -normal.scale[j] * rstd[j] / rows;
      constant[j] *= -normal.scale[j] / rows;
    }
  }
  tile.each([&](std::int64_t i) {
    float x[N], g[N];
    fetch(static_cast<const T*>(p.x), i, x);
    fetchMasked<T>(p, normal, i, x, g);
#pragma unroll
    for (int j = 0; j < N; j++)
      g[j] = fmaf(normal.scale[j], g[j], fmaf(onInput[j], x[j] - normal.mean[j], constant[j]));
    put(static_cast<T*>(p.dx), i, g);
  });
}

// Where a row's packs are not aligned, a thread has one channel.
#define INSTANCES(name, Params, f)                                                                                \
  extern "C" {                                                                                                    \
  __global__ void __launch_bounds__(tileThreads) name##_f32(const __grid_constant__ Params p) { f<4, float>(p); } \
  __global__ void __launch_bounds__(tileThreads) name##_bf16(const __grid_constant__ Params p) { f<8, bf16>(p); } \
  __global__ void __launch_bounds__(tileThreads) name##Single_f32(const __grid_constant__ Params p) {             \
    f<1, float>(p);                                                                                               \
  }                                                                                                               \
  __global__ void __launch_bounds__(tileThreads) name##Single_bf16(const __grid_constant__ Params p) {            \
    f<1, bf16>(p);                                                                                                \
  }                                                                                                               \
  }

INSTANCES(batchNormMoments, BatchNormMomentsParams, moments)
INSTANCES(batchNormApply, BatchNormApplyParams, apply)
INSTANCES(batchNormSums, BatchNormSumsParams, sums)
INSTANCES(batchNormGrad, BatchNormGradParams, gradient)

}  // namespace secateur::cuda
