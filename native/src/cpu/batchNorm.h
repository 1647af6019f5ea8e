// Batch normalisation over `[rows, channels]` (rows = batch * height * width), with an optional addition and relu.
//
//   y = relu( gamma (x - mean) rstd + beta + add )        rstd = 1 / sqrt(variance + epsilon)
//
// Training takes mean and (biased) variance from the batch; the running variance is updated with the unbiased one.
// With g = dy where relu let through, else 0, and m rows:
//
//   dadd = g     dbeta = sum g     dgamma = sum g (x - mean) rstd
//   dx = gamma rstd ( g - dbeta / m - (x - mean) rstd dgamma / m )
//
// All of it is limited by memory. Forward reads x twice and writes y; the second reading goes backwards, so that it
// starts with what is still cached. Rows are cut into chunks by their number alone, and chunks are combined in order
// and in float64: the results do not depend on the number of threads. In a chunk the values are summed relative to its
// first row, so that a mean far from zero costs no precision.
#pragma once

#include <omp.h>

#include "cpu/vector.h"

namespace secateur::SECATEUR_ISA {

/// What forward and backward share. `scratch` has `batchNormScratch` floats.
struct BatchNormShape {
  std::int64_t rows, channels;
  bool relu;
  int threads;
  float* scratch;
};

namespace norm {

constexpr std::int64_t kMostChunks = 256;
// Results of this size are written past the caches: they would not stay there, and need not be read to be overwritten.
constexpr std::int64_t kStreamBytes = 1 << 25;
constexpr int kGroup = 4;  // registers of channels worked on at a time

template <int N>
struct Count {
  static constexpr int value = N;
};

/// Where relu's mask comes from: there is no relu, the output, or the output computed once more from x (which saves
/// reading it; possible where nothing was added).
enum class Mask { none, output, again };
template <Mask M>
struct Masked {
  static constexpr Mask value = M;
};

SECATEUR_INLINE std::int64_t padded(std::int64_t channels) { return (channels + kLanes - 1) / kLanes * kLanes; }
SECATEUR_INLINE std::int64_t chunkRows(std::int64_t rows) {
  const std::int64_t even = (rows + kMostChunks - 1) / kMostChunks;
  return even > 128 ? even : 128;
}
SECATEUR_INLINE std::int64_t chunks(std::int64_t rows) { return (rows + chunkRows(rows) - 1) / chunkRows(rows); }

/// v <= 0 is false for NaN, so that NaN passes.
SECATEUR_INLINE Vec keepPositive(Vec v, Vec sign) { return sign <= 0.0f ? Vec{} : v; }

/// Forward and backward both use this: relu's mask must see the same bits.
SECATEUR_INLINE Vec normalise(Vec x, Vec mean, Vec scale, Vec shift) { return multiplyAdd(x - mean, scale, shift); }

/// Calls f(channel, Count of registers, lanes of the last register) for groups of channels.
template <class F>
SECATEUR_INLINE void forGroups(std::int64_t channels, const F& f) {
  std::int64_t c = 0;
  for (; c + kGroup * kLanes <= channels; c += kGroup * kLanes) f(c, Count<kGroup>{}, kLanes);
  for (; c < channels; c += kLanes) f(c, Count<1>{}, channels - c < kLanes ? static_cast<int>(channels - c) : kLanes);
}

/// A group of several registers is always whole.
template <int N, class T>
SECATEUR_INLINE Vec fetch(const T* p, int lanes) {
  return N > 1 ? load(p) : loadPart(p, lanes);
}

template <int N, class T>
SECATEUR_INLINE void put(T* p, Vec v, int lanes, bool streaming) {
  if (N == 1 && lanes < kLanes)
    storePart(p, v, lanes);
  else if (streaming)
    stream(p, v);
  else
    store(p, v);
}

template <class T>
SECATEUR_INLINE bool streams(const BatchNormShape& s, const T* to) {
  return s.rows * s.channels * static_cast<std::int64_t>(sizeof(T)) >= kStreamBytes && s.channels % kLanes == 0 &&
         reinterpret_cast<std::uintptr_t>(to) % (kLanes * sizeof(T)) == 0;
}

SECATEUR_INLINE float orElse(const float* values, std::int64_t c, float missing) {
  return values != nullptr ? values[c] : missing;
}

/// What is applied to each channel: the arrays are `padded(channels)` long.
struct Coefficients {
  float *mean, *scale, *shift, *onInput, *constant;

  explicit SECATEUR_ALWAYS_INLINE Coefficients(const BatchNormShape& s) {
    const std::int64_t n = padded(s.channels);
    mean = s.scratch;
    scale = mean + n;
    shift = scale + n;
    onInput = shift + n;
    constant = onInput + n;
  }
  SECATEUR_ALWAYS_INLINE float* partials(const BatchNormShape& s) const { return constant + padded(s.channels); }
};

/// Mean and sum of squared deviations of one chunk of rows, to `mean` and `squares`.
template <class T>
SECATEUR_INLINE void chunkMoments(const T* x, std::int64_t rows, std::int64_t channels, float* mean, float* squares) {
  forGroups(channels, [&](std::int64_t c, auto count, int lanes) {
    constexpr int n = decltype(count)::value;
    Vec origin[n], sum[n] = {}, square[n] = {};
#pragma GCC unroll 4
    for (int v = 0; v < n; v++) origin[v] = fetch<n>(x + c + v * kLanes, lanes);
    for (std::int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < n; v++) {
        const Vec d = fetch<n>(x + r * channels + c + v * kLanes, lanes) - origin[v];
        sum[v] += d;
        square[v] = multiplyAdd(d, d, square[v]);
      }
    }
    const float each = 1.0f / static_cast<float>(rows);
    for (int v = 0; v < n; v++) {
      store(mean + c + v * kLanes, origin[v] + sum[v] * each);
      store(squares + c + v * kLanes, square[v] - sum[v] * sum[v] * each);
    }
  });
}

/// One chunk of y = relu(normalise(x) + add).
template <class T>
SECATEUR_INLINE void chunkForward(const T* x, const T* add, T* y, std::int64_t rows, const BatchNormShape& s,
                                  const Coefficients& k, bool streaming) {
  forGroups(s.channels, [&](std::int64_t c, auto count, int lanes) {
    constexpr int n = decltype(count)::value;
    Vec mean[n], scale[n], shift[n];
    for (int v = 0; v < n; v++) {
      mean[v] = load(k.mean + c + v * kLanes);
      scale[v] = load(k.scale + c + v * kLanes);
      shift[v] = load(k.shift + c + v * kLanes);
    }
    for (std::int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < n; v++) {
        const std::int64_t at = r * s.channels + c + v * kLanes;
        Vec value = normalise(fetch<n>(x + at, lanes), mean[v], scale[v], shift[v]);
        if (add != nullptr) value += fetch<n>(add + at, lanes);
        if (s.relu) value = keepPositive(value, value);
        put<n>(y + at, value, lanes, streaming);
      }
    }
  });
}

/// g = dy where relu let through; sums of g and of g (x - mean) over one chunk; g also to `dadd` unless null.
template <Mask M, class T>
SECATEUR_INLINE void chunkSums(const T* x, const T* y, const T* dy, T* dadd, std::int64_t rows, const BatchNormShape& s,
                               const Coefficients& k, float* sums, float* products) {
  forGroups(s.channels, [&](std::int64_t c, auto count, int lanes) {
    constexpr int n = decltype(count)::value;
    Vec sum[n] = {}, product[n] = {};
    for (std::int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < n; v++) {
        const std::int64_t at = r * s.channels + c + v * kLanes, channel = c + v * kLanes;
        const Vec value = fetch<n>(x + at, lanes), mean = load(k.mean + channel);
        Vec g = fetch<n>(dy + at, lanes);
        if (M == Mask::output) g = keepPositive(g, fetch<n>(y + at, lanes));
        if (M == Mask::again)
          g = keepPositive(g, normalise(value, mean, load(k.scale + channel), load(k.shift + channel)));
        sum[v] += g;
        product[v] = multiplyAdd(g, value - mean, product[v]);
        if (dadd != nullptr) put<n>(dadd + at, g, lanes, false);
      }
    }
    for (int v = 0; v < n; v++) {
      store(sums + c + v * kLanes, sum[v]);
      store(products + c + v * kLanes, product[v]);
    }
  });
}

/// dx = scale g + onInput (x - mean) + constant, for one chunk.
template <Mask M, class T>
SECATEUR_INLINE void chunkBackward(const T* x, const T* y, const T* dy, T* dx, std::int64_t rows,
                                   const BatchNormShape& s, const Coefficients& k, bool streaming) {
  forGroups(s.channels, [&](std::int64_t c, auto count, int lanes) {
    constexpr int n = decltype(count)::value;
    for (std::int64_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
      for (int v = 0; v < n; v++) {
        const std::int64_t at = r * s.channels + c + v * kLanes, channel = c + v * kLanes;
        const Vec value = fetch<n>(x + at, lanes), mean = load(k.mean + channel), scale = load(k.scale + channel);
        Vec g = fetch<n>(dy + at, lanes);
        if (M == Mask::output) g = keepPositive(g, fetch<n>(y + at, lanes));
        if (M == Mask::again) g = keepPositive(g, normalise(value, mean, scale, load(k.shift + channel)));
        const Vec rest = multiplyAdd(load(k.onInput + channel), value - mean, load(k.constant + channel));
        put<n>(dx + at, multiplyAdd(scale, g, rest), lanes, streaming);
      }
    }
  });
}

/// Runs f(first row, rows, chunk) for this thread's chunks, forwards or backwards.
template <class F>
SECATEUR_INLINE void forChunks(std::int64_t rows, bool backwards, const F& f) {
  const std::int64_t size = chunkRows(rows), total = chunks(rows);
  const std::int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
  const std::int64_t first = total * thread / threads, end = total * (thread + 1) / threads;
  for (std::int64_t i = first; i < end; i++) {
    const std::int64_t chunk = backwards ? end - 1 - (i - first) : i, row = chunk * size;
    f(row, row + size < rows ? size : rows - row, chunk);
  }
  _mm_sfence();  // streamed results become visible before the threads meet
}

}  // namespace norm

/// Floats of scratch for one call of any function below.
static inline std::int64_t batchNormScratch(std::int64_t rows, std::int64_t channels) {
  return norm::padded(channels) * (5 + 2 * norm::chunks(rows));
}

/// Training. Writes `mean` and `rstd` of the batch; `running*` (both or none) move by `momentum` towards the batch's
/// mean and unbiased variance (that of a single row is taken as 0). `gamma`, `beta`, `add` may be null.
template <class T>
static void batchNormForward(const BatchNormShape& s, const T* x, const T* add, const float* gamma, const float* beta,
                             float epsilon, float momentum, T* y, float* mean, float* rstd, float* runningMean,
                             float* runningVariance) {
  using namespace norm;
  const Coefficients k(s);
  const std::int64_t width = padded(s.channels), count = chunks(s.rows);
  float *means = k.partials(s), *squares = means + count * width;
  const bool streaming = streams(s, y);
#pragma omp parallel num_threads(s.threads)
  {
    forChunks(s.rows, false, [&](std::int64_t row, std::int64_t rows, std::int64_t chunk) {
      chunkMoments(x + row * s.channels, rows, s.channels, means + chunk * width, squares + chunk * width);
    });
#pragma omp barrier
#pragma omp for schedule(static)
    for (std::int64_t c = 0; c < s.channels; c++) {
      const double rows = static_cast<double>(s.rows), size = static_cast<double>(chunkRows(s.rows));
      const double last = rows - size * static_cast<double>(count - 1);
      double total = 0, deviation = 0;
      for (std::int64_t i = 0; i < count; i++) total += (i + 1 < count ? size : last) * means[i * width + c];
      const double centre = total / rows;
      for (std::int64_t i = 0; i < count; i++) {
        const double d = means[i * width + c] - centre;
        deviation += squares[i * width + c] + (i + 1 < count ? size : last) * d * d;
      }
      mean[c] = k.mean[c] = static_cast<float>(centre);
      rstd[c] = static_cast<float>(1 / __builtin_sqrt(deviation / rows + static_cast<double>(epsilon)));
      k.scale[c] = orElse(gamma, c, 1) * rstd[c];
      k.shift[c] = orElse(beta, c, 0);
      if (runningMean != nullptr) {
        const double unbiased = s.rows > 1 ? deviation / (rows - 1) : 0;
        runningMean[c] += momentum * (mean[c] - runningMean[c]);
        runningVariance[c] += momentum * (static_cast<float>(unbiased) - runningVariance[c]);
      }
    }
    forChunks(s.rows, true, [&](std::int64_t row, std::int64_t rows, std::int64_t) {
      const std::int64_t at = row * s.channels;
      chunkForward(x + at, add != nullptr ? add + at : nullptr, y + at, rows, s, k, streaming);
    });
  }
}

/// Evaluation: mean and variance are given.
template <class T>
static void batchNormEval(const BatchNormShape& s, const T* x, const T* add, const float* gamma, const float* beta,
                          float epsilon, const float* mean, const float* variance, T* y) {
  using namespace norm;
  const Coefficients k(s);
  for (std::int64_t c = 0; c < s.channels; c++) {
    k.mean[c] = mean[c];
    k.scale[c] = orElse(gamma, c, 1) / __builtin_sqrtf(variance[c] + epsilon);
    k.shift[c] = orElse(beta, c, 0);
  }
  const bool streaming = streams(s, y);
#pragma omp parallel num_threads(s.threads)
  forChunks(s.rows, false, [&](std::int64_t row, std::int64_t rows, std::int64_t) {
    const std::int64_t at = row * s.channels;
    chunkForward(x + at, add != nullptr ? add + at : nullptr, y + at, rows, s, k, streaming);
  });
}

/// The gradients, from the x, mean and rstd of forward. With relu, `y` is its output; where nothing was added `y` may
/// be null, which is faster (`beta` must then be the one of forward). `dadd`, `dgamma`, `dbeta` may be null. `training`
/// is false where mean and variance were given, not taken from x: then no gradient flows through them.
template <class T>
static void batchNormBackward(const BatchNormShape& s, const T* x, const T* y, const T* dy, const float* gamma,
                              const float* beta, const float* mean, const float* rstd, bool training, T* dx, T* dadd,
                              float* dgamma, float* dbeta) {
  using namespace norm;
  const Coefficients k(s);
  const std::int64_t width = padded(s.channels), count = chunks(s.rows);
  float *sums = k.partials(s), *products = sums + count * width;
  const bool streaming = streams(s, dx);
  const auto offset = [&](auto* p, std::int64_t row) { return p != nullptr ? p + row * s.channels : p; };
  for (std::int64_t c = 0; c < s.channels; c++) {
    k.mean[c] = mean[c];
    k.scale[c] = orElse(gamma, c, 1) * rstd[c];
    k.shift[c] = orElse(beta, c, 0);
  }
  // What dadd holds need not be masked again.
  const auto first = [&](auto mask) {
    forChunks(s.rows, false, [&](std::int64_t row, std::int64_t rows, std::int64_t chunk) {
      chunkSums<decltype(mask)::value>(offset(x, row), offset(y, row), offset(dy, row), offset(dadd, row), rows, s, k,
                                       sums + chunk * width, products + chunk * width);
    });
  };
  const auto second = [&](auto mask, const T* gradient) {
    forChunks(s.rows, true, [&](std::int64_t row, std::int64_t rows, std::int64_t) {
      chunkBackward<decltype(mask)::value>(offset(x, row), offset(y, row), offset(gradient, row), offset(dx, row), rows,
                                           s, k, streaming);
    });
  };
#pragma omp parallel num_threads(s.threads)
  {
    if (!s.relu)
      first(Masked<Mask::none>{});
    else if (y != nullptr)
      first(Masked<Mask::output>{});
    else
      first(Masked<Mask::again>{});
#pragma omp barrier
#pragma omp for schedule(static)
    for (std::int64_t c = 0; c < s.channels; c++) {
      double sum = 0, product = 0;
      for (std::int64_t i = 0; i < count; i++) {
        sum += sums[i * width + c];
        product += products[i * width + c];
      }
      const double rows = static_cast<double>(s.rows), r = rstd[c], scale = k.scale[c];
      if (dbeta != nullptr) dbeta[c] = static_cast<float>(sum);
      if (dgamma != nullptr) dgamma[c] = static_cast<float>(product * r);
      k.onInput[c] = training ? static_cast<float>(-scale * r * r * product / rows) : 0.0f;
      k.constant[c] = training ? static_cast<float>(-scale * sum / rows) : 0.0f;
    }
    if (!s.relu || dadd != nullptr)
      second(Masked<Mask::none>{}, dadd != nullptr ? dadd : dy);
    else if (y != nullptr)
      second(Masked<Mask::output>{}, dy);
    else
      second(Masked<Mask::again>{}, dy);
  }
}

}  // namespace secateur::SECATEUR_ISA
