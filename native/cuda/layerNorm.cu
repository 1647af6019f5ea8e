// Layer normalisation over the last axis. A team has a line, and keeps it in shared memory: mean and variance are
// taken one after the other, which loses nothing when the mean is large, and memory is read once.
//
// Bytes an element in bf16: forward 4. Backward reads x and g and writes dx, 6; the sums for weight and bias, which a
// team keeps in shared memory too, are written and read once a chunk of lines: a quarter of a byte from 64 lines on.
#include "layerNorm.h"

#include "gpu/columns.cuh"
#include "gpu/lines.cuh"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void layerNorm(const LayerNormParams& p) {
  extern __shared__ __align__(16) unsigned char room[];
  __shared__ float shared[32];
  const std::int64_t n = p.lines.n;
  const Team team(p.lines.team, shared);
  for (std::int64_t line = team.firstLine(); line < p.lines.count; line += team.lineStep()) {
    const T* x = static_cast<const T*>(p.x) + line * n;
    T* y = static_cast<T*>(p.y) + line * n;
    const auto span = spanOf<T>(team, n, x, y);
    T* keep = roomFor(p.lines, team, span, room, 0);
    const T* again = keep != nullptr ? keep : x;
    float sum = 0;
    span.each([&](auto count, std::int64_t i) {
      float v[decltype(count)::value];
      fetchAndKeep(x, i, keep, v);
#pragma unroll
      for (const float each : v) sum += each;
    });
    const float mean = team.sum(sum) / static_cast<float>(n);
    float squares = 0;
    span.each([&](auto count, std::int64_t i) {
      float v[decltype(count)::value];
      fetch(again, i, v);
#pragma unroll
      for (const float each : v) squares = fmaf(each - mean, each - mean, squares);
    });
    squares = team.sum(squares);
    const float rstd = 1.0f / sqrtf(squares / static_cast<float>(n) + p.eps);
    if (team.rank == 0) {
      p.mean[line] = mean;
      p.rstd[line] = rstd;
    }
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N], weight[N], bias[N];
      fetch(again, i, v);
      fetchOr(1, p.weight, i, weight);
      fetchOr(0, p.bias, i, bias);
#pragma unroll
      for (int j = 0; j < N; j++) v[j] = fmaf((v[j] - mean) * rstd, weight[j], bias[j]);
      put(y, i, v);
    });
    team.wait();
  }
}

template <int N>
SECATEUR_GPU void addTo(float* sums, std::int64_t i, const float (&x)[N]) {
  float sum[N];
  fetchOr(0, sums, i, sum);
#pragma unroll
  for (int j = 0; j < N; j++) sum[j] += x[j];
  putAnywhere(sums, i, sum);
}

// With h the normalised x and u = g weight: dx = rstd (u - mean(u) - h mean(u h)), dweight = sum g h, dbias = sum g. A
// block has a chunk of lines, and its teams take turns; at the end it adds up their sums. Where shared memory has no
// room, its only team adds up in the block's place in global memory.
template <class T>
SECATEUR_GPU void layerNormGrad(const LayerNormGradParams& p) {
  extern __shared__ __align__(16) unsigned char room[];
  __shared__ float shared[32];
  const std::int64_t n = p.lines.n;
  const Team team(p.lines.team, shared);
  const auto sumsOf = [&](int t) { return reinterpret_cast<float*>(room + t * p.lines.perTeam + 2 * p.lines.room); };
  float* partial = p.partial + 2 * n * blockIdx.x;
  float* dweight = p.lines.room != 0 ? sumsOf(team.index) : partial;
  float* dbias = dweight + n;
  for (std::int64_t i = team.rank; i < 2 * n; i += team.size) dweight[i] = 0;
  team.wait();
  const std::int64_t begin = blockIdx.x * p.chunk, end = min(begin + p.chunk, p.lines.count);
  for (std::int64_t line = begin + team.index; line < end; line += team.count) {
    const T* x = static_cast<const T*>(p.x) + line * n;
    const T* g = static_cast<const T*>(p.g) + line * n;
    T* dx = static_cast<T*>(p.dx) + line * n;
    const auto span = spanOf<T>(team, n, x, g, dx);
    T* keepX = roomFor(p.lines, team, span, room, 0);
    T* keepG = roomFor(p.lines, team, span, room, 1);
    const T* againX = keepX != nullptr ? keepX : x;
    const T* againG = keepG != nullptr ? keepG : g;
    const float mean = p.mean[line], rstd = p.rstd[line];
    float sum = 0, dot = 0;
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N], up[N], weight[N];
      fetchAndKeep(x, i, keepX, v);
      fetchAndKeep(g, i, keepG, up);
      fetchOr(1, p.weight, i, weight);
#pragma unroll
      for (int j = 0; j < N; j++) {
        const float h = (v[j] - mean) * rstd, u = up[j] * weight[j];
        sum += u;
        dot = fmaf(u, h, dot);
        v[j] = up[j] * h;
      }
      addTo(dweight, i, v);
      addTo(dbias, i, up);
    });
    sum = team.sum(sum) / static_cast<float>(n);
    dot = team.sum(dot) / static_cast<float>(n);
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N], up[N], weight[N];
      fetch(againX, i, v);
      fetch(againG, i, up);
      fetchOr(1, p.weight, i, weight);
#pragma unroll
      for (int j = 0; j < N; j++) {
        const float h = (v[j] - mean) * rstd;
        v[j] = rstd * (fmaf(-h, dot, up[j] * weight[j]) - sum);
      }
      put(dx, i, v);
    });
    team.wait();
  }
  if (p.lines.room == 0) return;
  __syncthreads();
  for (std::int64_t i = threadIdx.x; i < 2 * n; i += blockDim.x) {
    float sum = 0;
    for (int t = 0; t < team.count; t++) sum += sumsOf(t)[i];
    partial[i] = sum;
  }
}

extern "C" __global__ void __launch_bounds__(partThreads, 1)
    layerNormTotals(const __grid_constant__ LayerNormTotalsParams p) {
  __shared__ float shared[partThreads];
  const std::int64_t channel = partChannel();
  const bool inside = channel < p.n;
  const auto total = [&](std::int64_t offset) {
    return sumParts(p.chunks, shared,
                    [&](std::int64_t k) { return inside ? p.partial[2 * k * p.n + offset + channel] : 0.0f; });
  };
  const float dweight = total(0), dbias = total(p.n);
  if (!inside || threadIdx.x >= partChannels) return;
  p.dweight[channel] = dweight;
  p.dbias[channel] = dbias;
}

extern "C" {
__global__ void layerNorm_f32(const __grid_constant__ LayerNormParams p) { layerNorm<float>(p); }
__global__ void layerNorm_bf16(const __grid_constant__ LayerNormParams p) { layerNorm<bf16>(p); }
__global__ void layerNormGrad_f32(const __grid_constant__ LayerNormGradParams p) { layerNormGrad<float>(p); }
__global__ void layerNormGrad_bf16(const __grid_constant__ LayerNormGradParams p) { layerNormGrad<bf16>(p); }
}

}  // namespace secateur::cuda
