// Copying between two arrangements of the same elements: what permute, slice, concat and pad come down to. Axes are
// merged where both sides step over them alike; then either both sides have runs (copied as they are), or one side's
// runs lie across the other's, and square tiles are transposed in registers.
#pragma once
#include <cstring>

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// A walk over dims[], outermost first; strides in elements.
struct StridedCopy {
  int rank = 0;
  std::int64_t dims[maxRank] = {};
  std::int64_t to[maxRank] = {};
  std::int64_t from[maxRank] = {};

  SECATEUR_ALWAYS_INLINE void axis(std::int64_t n, std::int64_t toStride, std::int64_t fromStride) {
    if (n == 1) return;
    if (rank > 0 && to[rank - 1] == n * toStride && from[rank - 1] == n * fromStride) {
      dims[rank - 1] *= n;
      to[rank - 1] = toStride;
      from[rank - 1] = fromStride;
      return;
    }
    dims[rank] = n;
    to[rank] = toStride;
    from[rank] = fromStride;
    rank++;
  }
};

// An 8 x 8 block turned over its diagonal: interleaving the first half of the rows with the second, three times.
template <class T>
SECATEUR_INLINE void transpose8(T* to, std::int64_t toStride, const T* from, std::int64_t fromStride) {
  typedef T Row __attribute__((vector_size(8 * sizeof(T))));
  typedef T LooseRow __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
  const Row low = {0, 8, 1, 9, 2, 10, 3, 11}, high = {4, 12, 5, 13, 6, 14, 7, 15};
  Row a[8], b[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) a[i] = *reinterpret_cast<const LooseRow*>(from + i * fromStride);
#pragma GCC unroll 3
  for (int round = 0; round < 3; round++) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      b[2 * i] = __builtin_shuffle(a[i], a[i + 4], low);
      b[2 * i + 1] = __builtin_shuffle(a[i], a[i + 4], high);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) a[i] = b[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) *reinterpret_cast<LooseRow*>(to + i * toStride) = a[i];
}

constexpr std::int64_t tileSide = 64;

// to[i][j] = from[j][i] for at most tileSide rows and columns; both sides have unit stride along their last axis. Goes
// through a block of its own: where rows are a power of two apart, the lines of a tile compete for the same places in
// the cache, and so each line of `from` and of `to` is touched in one go.
template <class T>
SECATEUR_INLINE void transposeTile(T* to, std::int64_t toStride, const T* from, std::int64_t fromStride,
                                   std::int64_t rows, std::int64_t columns) {
  if (rows < 8 || columns < 8) {
    for (std::int64_t i = 0; i < rows; i++) {
      for (std::int64_t j = 0; j < columns; j++) to[i * toStride + j] = from[j * fromStride + i];
    }
    return;
  }
  constexpr auto line = static_cast<std::int64_t>(64 / sizeof(T));
  alignas(64) T block[tileSide * tileSide];
  std::int64_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    const T* x = from + j * fromStride;
    // No hardware prefetcher follows short pieces of many rows: ask for the next rows to read and for those to write.
    for (std::int64_t k = 0; k < 8; k++) {
      if (j + 8 + k < columns) {
        for (std::int64_t c = 0; c < rows; c += line) __builtin_prefetch(x + (8 + k) * fromStride + c);
      }
      if (j + k < rows) {
        for (std::int64_t c = 0; c < columns; c += line) __builtin_prefetch(to + (j + k) * toStride + c, 1);
      }
    }
    std::int64_t i = 0;
    for (; i + 8 <= rows; i += 8) transpose8(block + i * tileSide + j, tileSide, x + i, fromStride);
    for (; i < rows; i++) {
      for (std::int64_t k = 0; k < 8; k++) block[i * tileSide + j + k] = x[k * fromStride + i];
    }
  }
  for (; j < columns; j++) {
    for (std::int64_t i = 0; i < rows; i++) block[i * tileSide + j] = from[j * fromStride + i];
  }
  for (std::int64_t i = 0; i < rows; i++) {
    if (columns == tileSide) {
      std::memcpy(to + i * toStride, block + i * tileSide, tileSide * sizeof(T));
    } else {
      std::memcpy(to + i * toStride, block + i * tileSide, static_cast<std::size_t>(columns) * sizeof(T));
    }
  }
}

struct Offsets {
  std::int64_t to = 0, from = 0;
};
// Where the i-th combination of the axes other than `skipA` and `skipB` begins.
SECATEUR_INLINE Offsets offsetsOf(const StridedCopy& c, std::int64_t i, int skipA, int skipB) {
  Offsets o;
  for (int d = c.rank - 1; d >= 0; d--) {
    if (d == skipA || d == skipB) continue;
    const std::int64_t at = i % c.dims[d];
    i /= c.dims[d];
    o.to += at * c.to[d];
    o.from += at * c.from[d];
  }
  return o;
}

template <class T>
SECATEUR_INLINE void copyRuns(const StridedCopy& c, T* to, const T* from, std::int64_t size) {
  const int last = c.rank - 1;
  const std::int64_t n = c.dims[last], toStep = c.to[last], fromStep = c.from[last];
  const bool plain = toStep == 1 && fromStep == 1;
  const auto run = [=](T * y, const T* x, std::int64_t count) __attribute__((always_inline)) {
    if (plain && count > 16) {
      std::memcpy(y, x, static_cast<std::size_t>(count) * sizeof(T));
    } else {
      for (std::int64_t i = 0; i < count; i++) y[i * toStep] = x[i * fromStep];
    }
  };
  const std::int64_t runs = size / n;
  if (runs == 1) {
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
      run(to + begin * toStep, from + begin * fromStep, end - begin);
    });
    return;
  }
  parallelFor(runs, parallelGrain / n + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; r++) {
      const Offsets o = offsetsOf(c, r, last, -1);
      run(to + o.to, from + o.from, n);
    }
  });
}

template <class T>
SECATEUR_INLINE void copyStrided(const StridedCopy& c, T* to, const T* from) {
  if (c.rank == 0) {
    *to = *from;
    return;
  }
  std::int64_t size = 1;
  for (int d = 0; d < c.rank; d++) size *= c.dims[d];
  if (size == 0) return;
  // The axis along which each side has its runs.
  int across = -1, along = -1;
  for (int d = 0; d < c.rank; d++) {
    if (c.from[d] == 1) across = d;
    if (c.to[d] == 1) along = d;
  }
  if (across < 0 || along < 0 || across == along) return copyRuns(c, to, from, size);
  constexpr std::int64_t tile = tileSide;
  const std::int64_t m = c.dims[across], n = c.dims[along];
  const std::int64_t down = (m + tile - 1) / tile, right = (n + tile - 1) / tile;
  const std::int64_t toStride = c.to[across], fromStride = c.from[along];
  const std::int64_t perTile = (m < tile ? m : tile) * (n < tile ? n : tile);
  parallelFor(size / (m * n) * down * right, parallelGrain / perTile + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; t++) {
      const Offsets o = offsetsOf(c, t / (down * right), across, along);
      const std::int64_t i = t / right % down * tile, j = t % right * tile;
      transposeTile(to + o.to + i * toStride + j, toStride, from + o.from + j * fromStride + i, fromStride,
                    m - i < tile ? m - i : tile, n - j < tile ? n - j : tile);
    }
  });
}

// Runs f with an unsigned integer of the dtype's width: what is only moved has no other type.
template <class F>
SECATEUR_INLINE void withBits(DType dtype, const F& f) {
  switch (bytesOf(dtype)) {
    case 4:
      return f(std::uint32_t{});
    case 2:
      return f(std::uint16_t{});
    default:
      return f(std::uint8_t{});
  }
}

template <class T>
SECATEUR_INLINE void fillWith(T* y, std::int64_t size, T value) {
  parallelFor(size, 4 * parallelGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i++) y[i] = value;
  });
}

// Row-major strides of a tensor.
struct Strides {
  std::int64_t of[maxRank] = {};
};
SECATEUR_INLINE Strides stridesOf(const View& v) {
  Strides s;
  std::int64_t step = 1;
  for (int d = v.rank - 1; d >= 0; d--) {
    s.of[d] = step;
    step *= v.dims[d];
  }
  return s;
}

}  // namespace secateur::SECATEUR_ISA
