// Layer normalisation over the last axis. A row fits the first cache, so that its second and third pass are free:
// mean and variance are taken one after the other, which loses nothing when the mean is large.
#include "ops/layerNorm.h"

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(layerNorm, F32 | BF16)(const LayerNormArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.mean.size();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  const float* bias = s.bias.present ? s.bias.as<float>() : nullptr;
  float* means = s.mean.as<float>();
  float* scales = s.rstd.as<float>();
  const auto eps = static_cast<float>(s.eps);
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* allX = s.x.as<T>();
    T* allY = s.y.as<T>();
    parallelFor(rows, parallelGrain / (n + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = allX + r * n;
        T* y = allY + r * n;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = 0; i < n; i++) sum += toFloat(x[i]);
        const float mean = sum / static_cast<float>(n);
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (std::int64_t i = 0; i < n; i++) {
          const float d = toFloat(x[i]) - mean;
          squares = fma(d, d, squares);
        }
        const float scale = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
        means[r] = mean;
        scales[r] = scale;
        if (weight != nullptr && bias != nullptr) {
#pragma omp simd
          for (std::int64_t i = 0; i < n; i++) store(y[i], fma((toFloat(x[i]) - mean) * scale, weight[i], bias[i]));
        } else {
#pragma omp simd
          for (std::int64_t i = 0; i < n; i++) {
            const float w = weight != nullptr ? weight[i] : 1.0f;
            const float b = bias != nullptr ? bias[i] : 0.0f;
            store(y[i], fma((toFloat(x[i]) - mean) * scale, w, b));
          }
        }
      }
    });
  });
}

// With h the normalised x and u = g weight: dx = rstd (u - mean(u) - h mean(u h)), dweight = sum g h, dbias = sum g,
// all from one pass over the rows. Each chunk of rows has its own sums; they are added in the order of the chunks.
KERNEL(layerNormGrad, F32 | BF16)(const LayerNormGradArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.mean.size();
  const float* weight = s.weight.present ? s.weight.as<float>() : nullptr;
  const float* means = s.mean.as<float>();
  const float* scales = s.rstd.as<float>();
  constexpr std::int64_t mostChunks = 64;
  const std::int64_t least = parallelGrain / (n + 1) + 1, even = (rows + mostChunks - 1) / mostChunks;
  const std::int64_t grain = least > even ? least : even;
  const std::int64_t chunks = (rows + grain - 1) / grain;
  auto* partial = scratch<float>(chunks * 2 * n);
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* allX = s.x.as<T>();
    const T* allG = s.g.as<T>();
    T* allDx = s.dx.as<T>();
    parallelFor(rows, grain, [=](std::int64_t begin, std::int64_t end) {
      float* dw = partial + begin / grain * 2 * n;
      float* db = dw + n;
      for (std::int64_t i = 0; i < 2 * n; i++) dw[i] = 0;
      for (std::int64_t r = begin; r < end; r++) {
        const T* x = allX + r * n;
        const T* g = allG + r * n;
        T* dx = allDx + r * n;
        const float mean = means[r], scale = scales[r];
        float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
        for (std::int64_t i = 0; i < n; i++) {
          const float up = weight != nullptr ? toFloat(g[i]) * weight[i] : toFloat(g[i]);
          sum += up;
          dot = fma(up, (toFloat(x[i]) - mean) * scale, dot);
        }
        const float a = sum / static_cast<float>(n), b = dot / static_cast<float>(n);
#pragma omp simd
        for (std::int64_t i = 0; i < n; i++) {
          const float h = (toFloat(x[i]) - mean) * scale, up = toFloat(g[i]);
          dw[i] = fma(up, h, dw[i]);
          db[i] += up;
          store(dx[i], scale * (fma(-h, b, weight != nullptr ? up * weight[i] : up) - a));
        }
      }
    });
  });
  float* dweight = s.dweight.as<float>();
  float* dbias = s.dbias.as<float>();
  for (std::int64_t i = 0; i < n; i++) dweight[i] = dbias[i] = 0;
  for (std::int64_t c = 0; c < chunks; c++) {
    const float* from = partial + c * 2 * n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; i++) {
      dweight[i] += from[i];
      dbias[i] += from[n + i];
    }
  }
}

}  // namespace secateur::SECATEUR_ISA
