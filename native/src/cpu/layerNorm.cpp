// Layer normalisation over the last axis. A row fits the first cache, so that its second and third pass are free:
// mean and variance are taken one after the other, which loses nothing when the mean is large.
#include "ops/layerNorm.h"

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

// A parameter's values; where it is absent, what changes nothing: a loop that asks at every element is not vectorised.
SECATEUR_INLINE const float* valuesOr(float neutral, const View& v, std::int64_t n) {
  if (v.present) return v.as<float>();
  float* same = scratch<float>(n);
  for (std::int64_t i = 0; i < n; i++) same[i] = neutral;
  return same;
}

// A function of its own: within the parallel region the compiler leaves these loops scalar, three times slower.
template <class T>
__attribute__((noinline)) static void gradOfRow(const T* x, const T* g, const float* weight, float mean, float scale,
                                                std::int64_t n, T* dx, float* dw, float* db) {
  float sum = 0, dot = 0;
#pragma omp simd reduction(+ : sum, dot)
  for (std::int64_t i = 0; i < n; i++) {
    const float up = toFloat(g[i]) * weight[i];
    sum += up;
    dot += up * ((toFloat(x[i]) - mean) * scale);
  }
  const float a = sum / static_cast<float>(n), b = dot / static_cast<float>(n);
#pragma omp simd
  for (std::int64_t i = 0; i < n; i++) {
    const float h = (toFloat(x[i]) - mean) * scale, up = toFloat(g[i]);
    dw[i] = fma(up, h, dw[i]);
    db[i] += up;
    store(dx[i], scale * (fma(-h, b, up * weight[i]) - a));
  }
}

}  // namespace

KERNEL(layerNorm, F32 | BF16)(const LayerNormArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.mean.size();
  const float* weight = valuesOr(1, s.weight, n);
  const float* bias = valuesOr(0, s.bias, n);
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
#pragma omp simd
        for (std::int64_t i = 0; i < n; i++) store(y[i], fma((toFloat(x[i]) - mean) * scale, weight[i], bias[i]));
      }
    });
  });
}

// With h the normalised x and u = g weight: dx = rstd (u - mean(u) - h mean(u h)), dweight = sum g h, dbias = sum g,
// all from one pass over the rows. Each chunk of rows has its own sums; they are added in the order of the chunks.
KERNEL(layerNormGrad, F32 | BF16)(const LayerNormGradArgs& s) {
  const std::int64_t n = s.x.back(1), rows = s.mean.size();
  const float* weight = valuesOr(1, s.weight, n);
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
        gradOfRow(allX + r * n, allG + r * n, weight, means[r], scales[r], n, allDx + r * n, dw, db);
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
