// Reducing a tensor over some of its axes, reading it once and in memory order. Axes of one kind that lie next to each
// other are one longer axis, so that only two loops matter: the innermost axis is reduced (runs are summed up), or it
// is kept (rows are added to rows). Everything accumulates in double.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// Axes other than the innermost one, fastest first.
struct Axes {
  int rank = 0;
  std::int64_t dims[maxRank] = {};
  std::int64_t strides[maxRank] = {};

  SECATEUR_ALWAYS_INLINE std::int64_t count() const {
    std::int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= dims[d];
    return n;
  }
  SECATEUR_ALWAYS_INLINE std::int64_t offset(std::int64_t i) const {
    if (rank == 1) return i * strides[0];
    std::int64_t at = 0;
    for (int d = 0; d < rank; d++) {
      at += i % dims[d] * strides[d];
      i /= dims[d];
    }
    return at;
  }
};

struct Reduction {
  Axes kept, reduced;
  std::int64_t inner = 1;
  bool innerReduced = true;

  SECATEUR_ALWAYS_INLINE std::int64_t outputs() const { return kept.count() * (innerReduced ? 1 : inner); }
  // Elements that go into each output.
  SECATEUR_ALWAYS_INLINE std::int64_t terms() const { return reduced.count() * (innerReduced ? inner : 1); }
};

// The axes as a set of bits; an empty list means all.
SECATEUR_INLINE std::uint32_t axisBits(const List<std::int64_t>& dim, int rank) {
  if (dim.size() == 0) return (1u << rank) - 1;
  std::uint32_t bits = 0;
  for (const std::int64_t d : dim) bits |= 1u << (d < 0 ? d + rank : d);
  return bits;
}

// The shape of `x` with every reduced axis 1: what the outputs are seen as next to `x`.
SECATEUR_INLINE View keptShape(const View& x, std::uint32_t reduced) {
  View v = x;
  for (int d = 0; d < x.rank; d++) {
    if (reduced >> d & 1) v.dims[d] = 1;
  }
  return v;
}

SECATEUR_INLINE Reduction planReduction(const View& x, std::uint32_t reduced) {
  Axes merged;
  bool kinds[maxRank] = {};
  std::int64_t stride = 1;
  for (int d = x.rank - 1; d >= 0; d--) {
    if (x.dims[d] == 1) continue;
    const bool kind = reduced >> d & 1;
    if (merged.rank > 0 && kinds[merged.rank - 1] == kind) {
      merged.dims[merged.rank - 1] *= x.dims[d];
    } else {
      kinds[merged.rank] = kind;
      merged.dims[merged.rank] = x.dims[d];
      merged.strides[merged.rank] = stride;
      merged.rank++;
    }
    stride *= x.dims[d];
  }
  Reduction p;
  if (merged.rank == 0) return p;
  p.inner = merged.dims[0];
  p.innerReduced = kinds[0];
  for (int d = 1; d < merged.rank; d++) {
    Axes& axes = kinds[d] ? p.reduced : p.kept;
    axes.dims[axes.rank] = merged.dims[d];
    axes.strides[axes.rank] = merged.strides[d];
    axes.rank++;
  }
  return p;
}

// A vector of doubles, and the loads that widen to it.
#ifdef __AVX512F__
constexpr int wideLanes = 8;
#else
constexpr int wideLanes = 4;
#endif
typedef double Wide __attribute__((vector_size(wideLanes * 8)));
typedef float WideFloats __attribute__((vector_size(wideLanes * 4)));
typedef std::uint32_t WideBits __attribute__((vector_size(wideLanes * 4)));
typedef float LooseFloats __attribute__((vector_size(wideLanes * 4), aligned(4), may_alias));
typedef std::int32_t LooseInts __attribute__((vector_size(wideLanes * 4), aligned(4), may_alias));
typedef std::uint16_t LooseHalves __attribute__((vector_size(wideLanes * 2), aligned(2), may_alias));

SECATEUR_INLINE Wide widen(const float* p) {
  return __builtin_convertvector(*reinterpret_cast<const LooseFloats*>(p), Wide);
}
SECATEUR_INLINE Wide widen(const bf16* p) {
  const WideBits bits = __builtin_convertvector(*reinterpret_cast<const LooseHalves*>(p), WideBits) << 16;
  return __builtin_convertvector(__builtin_bit_cast(WideFloats, bits), Wide);
}
SECATEUR_INLINE Wide widen(const std::int32_t* p) {
  return __builtin_convertvector(*reinterpret_cast<const LooseInts*>(p), Wide);
}
SECATEUR_INLINE Wide widen(const std::uint8_t* p) {
  Wide v = {};
  for (int l = 0; l < wideLanes; l++) v[l] = p[l];
  return v;
}
SECATEUR_INLINE double toDouble(float x) { return static_cast<double>(x); }
SECATEUR_INLINE double toDouble(bf16 x) { return static_cast<double>(toFloat(x)); }
SECATEUR_INLINE double toDouble(std::int32_t x) { return x; }
SECATEUR_INLINE double toDouble(std::uint8_t x) { return x; }

// What a reduction does with an element. `parts` doubles are kept for each output, beginning at `start`; `add` is
// written for vectors and for single doubles alike; `shift` is the first element that goes into the output.
struct Sums {
  static constexpr int parts = 1;
  static constexpr double start = 0;
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V&) {
    a[0] += x;
  }
  template <class V>
  SECATEUR_INLINE void merge(V* a, const V* b) {
    a[0] += b[0];
  }
};
struct Squares : Sums {
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V&) {
    a[0] += x * x;
  }
};
struct Magnitudes : Sums {
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V&) {
    a[0] += x < 0 ? -x : x;
  }
};
// NaN is taken when it comes and, comparing false with everything, stays.
struct Largest {
  static constexpr int parts = 1;
  static constexpr double start = -__builtin_inf();
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V&) {
    a[0] = ((x > a[0]) | (x != x)) ? x : a[0];
  }
  template <class V>
  SECATEUR_INLINE void merge(V* a, const V* b) {
    add(a, b[0], b[0]);
  }
};
struct Smallest {
  static constexpr int parts = 1;
  static constexpr double start = __builtin_inf();
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V&) {
    a[0] = ((x < a[0]) | (x != x)) ? x : a[0];
  }
  template <class V>
  SECATEUR_INLINE void merge(V* a, const V* b) {
    add(a, b[0], b[0]);
  }
};
struct LargestMagnitude : Largest {
  static constexpr double start = 0;
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V& shift) {
    const V size = x < 0 ? -x : x;
    Largest::add(a, size, shift);
  }
};
// First and second moment about the first element: one pass, and no cancellation when the mean is far from zero.
struct Moments {
  static constexpr int parts = 2;
  static constexpr double start = 0;
  template <class V>
  SECATEUR_INLINE void add(V* a, const V& x, const V& shift) {
    const V d = x - shift;
    a[0] += d;
    a[1] += d * d;
  }
  template <class V>
  SECATEUR_INLINE void merge(V* a, const V* b) {
    a[0] += b[0];
    a[1] += b[1];
  }
};

template <class R>
SECATEUR_INLINE void begin(double* a) {
  for (int p = 0; p < R::parts; p++) a[p] = R::start;
}

// Adds n elements that lie side by side to one output. Four independent vectors hide the latency of the addition.
template <class R, class T>
SECATEUR_INLINE void reduceRun(double* total, const T* x, std::int64_t n, double shift) {
  constexpr int unroll = 4;
  std::int64_t i = 0;
  if (n >= unroll * wideLanes) {
    Wide a[unroll][R::parts];
    for (int u = 0; u < unroll; u++) {
      for (int p = 0; p < R::parts; p++) a[u][p] = Wide{} + R::start;
    }
    const Wide shifts = Wide{} + shift;
    for (; i + unroll * wideLanes <= n; i += unroll * wideLanes) {
#pragma GCC unroll 4
      for (int u = 0; u < unroll; u++) R::add(a[u], widen(x + i + u * wideLanes), shifts);
    }
    R::merge(a[0], a[1]);
    R::merge(a[2], a[3]);
    R::merge(a[0], a[2]);
    for (int l = 0; l < wideLanes; l++) {
      double one[R::parts];
      for (int p = 0; p < R::parts; p++) one[p] = a[0][p][l];
      R::merge(total, one);
    }
  }
  for (; i < n; i++) R::add(total, toDouble(x[i]), shift);
}

// Few outputs are cut into at most this many pieces each; the cut depends on sizes alone.
constexpr std::int64_t maxPieces = 16;

template <class R, class T, class Finish>
SECATEUR_INLINE void reduceRuns(const Reduction& plan, const T* x, const Finish& finish) {
  const std::int64_t outputs = plan.kept.count(), rows = plan.reduced.count(), n = plan.inner;
  if (outputs >= maxPieces || rows * n <= parallelGrain) {
    parallelFor(outputs, parallelGrain / (rows * n) + 1, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t k = from; k < to; k++) {
        double total[R::parts];
        begin<R>(total);
        const T* base = x + plan.kept.offset(k);
        const double shift = toDouble(base[0]);
        for (std::int64_t r = 0; r < rows; r++) reduceRun<R>(total, base + plan.reduced.offset(r), n, shift);
        finish(k, total);
      }
    });
    return;
  }
  const std::int64_t perRow = (n + parallelGrain - 1) / parallelGrain;
  const std::int64_t pieces = rows * perRow, groups = pieces < maxPieces ? pieces : maxPieces;
  auto* partial = scratch<double>(outputs * groups * R::parts);
  parallelFor(outputs * groups, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t t = from; t < to; t++) {
      const std::int64_t k = t / groups, g = t % groups;
      double* total = partial + t * R::parts;
      begin<R>(total);
      const T* base = x + plan.kept.offset(k);
      const double shift = toDouble(base[0]);
      for (std::int64_t i = g * pieces / groups; i < (g + 1) * pieces / groups; i++) {
        const std::int64_t at = i % perRow * parallelGrain;
        reduceRun<R>(total, base + plan.reduced.offset(i / perRow) + at,
                     n - at < parallelGrain ? n - at : parallelGrain, shift);
      }
    }
  });
  for (std::int64_t k = 0; k < outputs; k++) {
    for (std::int64_t g = 1; g < groups; g++) {
      R::merge(partial + k * groups * R::parts, partial + (k * groups + g) * R::parts);
    }
    finish(k, partial + k * groups * R::parts);
  }
}

// Adds `count` rows (at the given offsets) to Vectors vectors of columns, which stay in registers meanwhile.
template <class R, int Vectors, class T>
SECATEUR_INLINE void addColumns(double* total, std::int64_t partStride, const T* x, const std::int64_t* at,
                                std::int64_t count, const T* first) {
  typedef double LooseWide __attribute__((vector_size(wideLanes * 8), aligned(8), may_alias));
  Wide a[Vectors][R::parts], shifts[Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; v++) {
    shifts[v] = widen(first + v * wideLanes);
    for (int p = 0; p < R::parts; p++)
      a[v][p] = *reinterpret_cast<const LooseWide*>(total + p * partStride + v * wideLanes);
  }
  for (std::int64_t r = 0; r < count; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; v++) R::add(a[v], widen(x + at[r] + v * wideLanes), shifts[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; v++) {
    for (int p = 0; p < R::parts; p++) *reinterpret_cast<LooseWide*>(total + p * partStride + v * wideLanes) = a[v][p];
  }
}

// Adds rows [from, to) of `width` columns to total[parts][width].
template <class R, class T>
SECATEUR_INLINE void addRows(double* total, const Axes& rows, const T* x, std::int64_t from, std::int64_t to,
                             std::int64_t width) {
  // Wide rows are read a few at a time, so that memory streams; of narrow ones many fit at once.
  constexpr std::int64_t most = 64, least = 8;
  std::int64_t batch = 2048 / width;
  batch = batch < least ? least : batch > most ? most : batch;
  for (std::int64_t i = 0; i < width * R::parts; i++) total[i] = R::start;
  std::int64_t at[most];
  for (std::int64_t r = from; r < to; r += batch) {
    const std::int64_t count = to - r < batch ? to - r : batch;
    for (std::int64_t i = 0; i < count; i++) at[i] = rows.offset(r + i);
    std::int64_t c = 0;
    for (; c + 4 * wideLanes <= width; c += 4 * wideLanes) addColumns<R, 4>(total + c, width, x + c, at, count, x + c);
    for (; c + wideLanes <= width; c += wideLanes) addColumns<R, 1>(total + c, width, x + c, at, count, x + c);
    for (; c < width; c++) {
      double one[R::parts];
      for (int p = 0; p < R::parts; p++) one[p] = total[p * width + c];
      const double shift = toDouble(x[c]);
      for (std::int64_t i = 0; i < count; i++) R::add(one, toDouble(x[at[i] + c]), shift);
      for (int p = 0; p < R::parts; p++) total[p * width + c] = one[p];
    }
  }
}

template <class R, class T, class Finish>
SECATEUR_INLINE void reduceRows(const Reduction& plan, const T* x, const Finish& finish) {
  constexpr std::int64_t columns = 1024;
  const std::int64_t n = plan.inner, rows = plan.reduced.count();
  const std::int64_t width = n < columns ? n : columns, across = (n + columns - 1) / columns;
  const std::int64_t strips = plan.kept.count() * across;
  const auto finishStrip = [&](std::int64_t k, std::int64_t c, const double* total, std::int64_t w)
      __attribute__((always_inline)) {
    for (std::int64_t i = 0; i < w; i++) {
      double one[R::parts];
      for (int p = 0; p < R::parts; p++) one[p] = total[p * w + i];
      finish(k * n + c + i, one);
    }
  };
  std::int64_t groups = 1;
  if (strips < maxPieces) {
    groups = (strips * rows * width + parallelGrain - 1) / parallelGrain;
    groups = groups > maxPieces ? maxPieces : groups;
    groups = groups > rows ? rows : groups;
  }
  if (groups == 1) {
    parallelFor(strips, parallelGrain / (rows * width) + 1, [&](std::int64_t from, std::int64_t to) {
      double total[columns * R::parts];
      for (std::int64_t s = from; s < to; s++) {
        const std::int64_t k = s / across, c = s % across * columns, w = n - c < columns ? n - c : columns;
        addRows<R>(total, plan.reduced, x + plan.kept.offset(k) + c, 0, rows, w);
        finishStrip(k, c, total, w);
      }
    });
    return;
  }
  const std::int64_t size = width * R::parts;
  auto* partial = scratch<double>(strips * groups * size);
  parallelFor(strips * groups, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t t = from; t < to; t++) {
      const std::int64_t s = t / groups, g = t % groups;
      const std::int64_t k = s / across, c = s % across * columns, w = n - c < columns ? n - c : columns;
      addRows<R>(partial + t * size, plan.reduced, x + plan.kept.offset(k) + c, g * rows / groups,
                 (g + 1) * rows / groups, w);
    }
  });
  for (std::int64_t s = 0; s < strips; s++) {
    const std::int64_t k = s / across, c = s % across * columns, w = n - c < columns ? n - c : columns;
    double* total = partial + s * groups * size;
    for (std::int64_t g = 1; g < groups; g++) {
      const double* more = total + g * size;
      for (std::int64_t i = 0; i < w; i++) {
        double one[R::parts], other[R::parts];
        for (int p = 0; p < R::parts; p++) {
          one[p] = total[p * w + i];
          other[p] = more[p * w + i];
        }
        R::merge(one, other);
        for (int p = 0; p < R::parts; p++) total[p * w + i] = one[p];
      }
    }
    finishStrip(k, c, total, w);
  }
}

// Calls finish(index of the output, parts) once for every output.
template <class R, class T, class Finish>
SECATEUR_INLINE void reduce(const Reduction& plan, const T* x, const Finish& finish) {
  const std::int64_t outputs = plan.outputs();
  if (outputs == 0) return;
  if (plan.terms() == 0) {
    double none[R::parts];
    begin<R>(none);
    for (std::int64_t k = 0; k < outputs; k++) finish(k, none);
  } else if (plan.innerReduced) {
    reduceRuns<R>(plan, x, finish);
  } else {
    reduceRows<R>(plan, x, finish);
  }
}

}  // namespace secateur::SECATEUR_ISA
