// Softmax and its logarithm along any axis, from x - max(x). Along the last axis a line is contiguous and the loops run
// along it; along another axis the loops run across neighbouring lines, a block of them at a time.
#include "ops/softmax.h"

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

struct Lines {
  std::int64_t outer = 1, n = 1, inner = 1;
};

SECATEUR_INLINE Lines linesOf(const View& v, std::int64_t dim) {
  Lines l;
  const std::int64_t axis = dim < 0 ? dim + v.rank : dim;
  for (int d = 0; d < v.rank; d++) (d < axis ? l.outer : d == axis ? l.n : l.inner) *= v.dims[d];
  return l;
}

SECATEUR_INLINE std::int64_t linesPerChunk(std::int64_t n) {
  return n >= parallelGrain ? 1 : parallelGrain / (n + 1) + 1;
}

constexpr std::int64_t acrossBlock = 64;

// Calls block(offset of the first element, lines in the block) for blocks of neighbouring lines.
template <class F>
SECATEUR_INLINE void forBlocks(const Lines& l, const F& block) {
  const std::int64_t perOuter = (l.inner + acrossBlock - 1) / acrossBlock;
  parallelFor(l.outer * perOuter, linesPerChunk(l.n * acrossBlock), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; b++) {
      const std::int64_t at = b % perOuter * acrossBlock;
      const std::int64_t left = l.inner - at;
      block(b / perOuter * l.n * l.inner + at, left < acrossBlock ? left : acrossBlock);
    }
  });
}

template <bool Log, class T>
SECATEUR_INLINE void softmaxLine(const T* x, T* y, std::int64_t n) {
  float largest = -__builtin_inff();
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; i++) largest = toFloat(x[i]) > largest ? toFloat(x[i]) : largest;
  float sum = 0;
  if constexpr (!Log && sizeof(T) == sizeof(float)) {
    // The exponentials fit y unrounded, and need not be taken twice.
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < n; i++) {
      y[i] = vexp(x[i] - largest);
      sum += y[i];
    }
    const float scale = 1.0f / sum;
#pragma omp simd
    for (std::int64_t i = 0; i < n; i++) y[i] *= scale;
    return;
  }
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; i++) sum += vexp(toFloat(x[i]) - largest);
  const float logSum = vlog(sum), scale = 1.0f / sum;
#pragma omp simd
  for (std::int64_t i = 0; i < n; i++) {
    const float shifted = toFloat(x[i]) - largest;
    store(y[i], Log ? shifted - logSum : vexp(shifted) * scale);
  }
}

template <bool Log, class T>
SECATEUR_INLINE void softmaxAcross(const T* x, T* y, std::int64_t n, std::int64_t step, std::int64_t width) {
  float largest[acrossBlock], sum[acrossBlock];
  for (std::int64_t c = 0; c < acrossBlock; c++) {
    largest[c] = -__builtin_inff();
    sum[c] = 0;
  }
  for (std::int64_t i = 0; i < n; i++) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; c++) {
      const float v = toFloat(x[i * step + c]);
      largest[c] = v > largest[c] ? v : largest[c];
    }
  }
  for (std::int64_t i = 0; i < n; i++) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; c++) sum[c] += vexp(toFloat(x[i * step + c]) - largest[c]);
  }
#pragma omp simd
  for (std::int64_t c = 0; c < width; c++) sum[c] = Log ? vlog(sum[c]) : 1.0f / sum[c];
  for (std::int64_t i = 0; i < n; i++) {
#pragma omp simd
    for (std::int64_t c = 0; c < width; c++) {
      const float shifted = toFloat(x[i * step + c]) - largest[c];
      store(y[i * step + c], Log ? shifted - sum[c] : vexp(shifted) * sum[c]);
    }
  }
}

template <bool Log>
SECATEUR_INLINE void softmaxAny(const View& vx, const View& vy, std::int64_t dim) {
  const Lines l = linesOf(vx, dim);
  withFloat(vx.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = vx.as<T>();
    T* y = vy.as<T>();
    if (l.inner == 1) {
      parallelFor(l.outer, linesPerChunk(l.n), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; r++) softmaxLine<Log>(x + r * l.n, y + r * l.n, l.n);
      });
    } else {
      forBlocks(l,
                [=](std::int64_t at, std::int64_t width) { softmaxAcross<Log>(x + at, y + at, l.n, l.inner, width); });
    }
  });
}

// With s the sum of y g (of g for the logarithm): dx = y (g - s), or g - e^y s.
template <bool Log>
SECATEUR_INLINE void gradAny(const View& vy, const View& vg, const View& vdx, std::int64_t dim) {
  const Lines l = linesOf(vy, dim);
  withFloat(vy.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* allY = vy.as<T>();
    const T* allG = vg.as<T>();
    T* allDx = vdx.as<T>();
    if (l.inner == 1) {
      parallelFor(l.outer, linesPerChunk(l.n), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; r++) {
          const T* y = allY + r * l.n;
          const T* g = allG + r * l.n;
          T* dx = allDx + r * l.n;
          float sum = 0;
#pragma omp simd reduction(+ : sum)
          for (std::int64_t i = 0; i < l.n; i++) sum += Log ? toFloat(g[i]) : toFloat(y[i]) * toFloat(g[i]);
#pragma omp simd
          for (std::int64_t i = 0; i < l.n; i++) {
            const float v = toFloat(y[i]), up = toFloat(g[i]);
            store(dx[i], Log ? up - vexp(v) * sum : v * (up - sum));
          }
        }
      });
    } else {
      forBlocks(l, [=](std::int64_t at, std::int64_t width) {
        float sum[acrossBlock];
        for (std::int64_t c = 0; c < acrossBlock; c++) sum[c] = 0;
        for (std::int64_t i = 0; i < l.n; i++) {
          const T* y = allY + at + i * l.inner;
          const T* g = allG + at + i * l.inner;
#pragma omp simd
          for (std::int64_t c = 0; c < width; c++) sum[c] += Log ? toFloat(g[c]) : toFloat(y[c]) * toFloat(g[c]);
        }
        for (std::int64_t i = 0; i < l.n; i++) {
          const T* y = allY + at + i * l.inner;
          const T* g = allG + at + i * l.inner;
          T* dx = allDx + at + i * l.inner;
#pragma omp simd
          for (std::int64_t c = 0; c < width; c++) {
            const float v = toFloat(y[c]), up = toFloat(g[c]);
            store(dx[c], Log ? up - vexp(v) * sum[c] : v * (up - sum[c]));
          }
        }
      });
    }
  });
}

}  // namespace

KERNEL(softmax, F32 | BF16)(const SoftmaxArgs& s) { softmaxAny<false>(s.x, s.y, s.dim); }
KERNEL(logSoftmax, F32 | BF16)(const LogSoftmaxArgs& s) { softmaxAny<true>(s.x, s.y, s.dim); }
KERNEL(softmaxGrad, F32 | BF16)(const SoftmaxGradArgs& s) { gradAny<false>(s.y, s.g, s.dx, s.dim); }
KERNEL(logSoftmaxGrad, F32 | BF16)(const LogSoftmaxGradArgs& s) { gradAny<true>(s.y, s.g, s.dx, s.dim); }

}  // namespace secateur::SECATEUR_ISA
