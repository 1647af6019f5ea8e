// The one-dimensional and square transforms of Winograd's F(4x4, 3x3), vectorised over channels.
//
// Cook-Toom interpolation at the points 0, a, -a, b, -b and infinity. With p a finite point, N_p the product of (p - q)
// over the other finite points q, and M_p(x) the polynomial whose roots are those q:
//
//   data    B^T, 6 rows: the coefficients of M_p (of x M_0 for infinity)
//   filter  G, 6 rows:   (1, p, p^2, ...) / N_p   (0, ..., 0, 1 for infinity)
//   result  A^T:         row i is p^i             (infinity enters the last row alone)
//
// A convolution's forward and data gradient take a filter of 3 and give 4 results; its weight gradient takes a "filter"
// of 4 (a tile of the output's gradient) and gives 3. The data transform is the same for both.
// Lavin and Gray 2016 (arXiv:1509.09308) use a = 1, b = 2; a = 5/8, b = 3/2 costs the same and its rms error is about
// two times smaller, because the entries of the three matrices are closer to one another in size.
#pragma once

#include "cpu/vector.h"

namespace secateur::SECATEUR_ISA::winograd {

/// Channels are kept in blocks of 16 in all transformed data: `[36][channels / 16][rows][16]`.
constexpr int kBlock = 16;
constexpr int kParts = kBlock / kLanes;
constexpr int kPoints = 36;

constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB;
constexpr float kScaleZero = 1 / (kA2 * kB2), kScaleA = 1 / (2 * kA2 * (kA2 - kB2)),
                kScaleB = 1 / (2 * kB2 * (kB2 - kA2));

/// B^T: 6 data values to 6.
struct DataTransform {
  static constexpr int kFrom = 6, kTo = 6;
  SECATEUR_INLINE void apply(const Vec* x, Vec* y) {
    const Vec evenA = multiplyAdd(-kB2, x[2], x[4]), oddA = multiplyAdd(-kB2, x[1], x[3]);
    const Vec evenB = multiplyAdd(-kA2, x[2], x[4]), oddB = multiplyAdd(-kA2, x[1], x[3]);
    y[0] = multiplyAdd(kA2 * kB2, x[0], multiplyAdd(-(kA2 + kB2), x[2], x[4]));
    y[1] = multiplyAdd(kA, oddA, evenA);
    y[2] = multiplyAdd(-kA, oddA, evenA);
    y[3] = multiplyAdd(kB, oddB, evenB);
    y[4] = multiplyAdd(-kB, oddB, evenB);
    y[5] = multiplyAdd(kA2 * kB2, x[1], multiplyAdd(-(kA2 + kB2), x[3], x[5]));
  }
};

/// G for a filter of 3: 3 values to 6.
struct Filter3Transform {
  static constexpr int kFrom = 3, kTo = 6;
  SECATEUR_INLINE void apply(const Vec* x, Vec* y) {
    const Vec evenA = multiplyAdd(kScaleA * kA2, x[2], kScaleA * x[0]), oddA = (kScaleA * kA) * x[1];
    const Vec evenB = multiplyAdd(kScaleB * kB2, x[2], kScaleB * x[0]), oddB = (kScaleB * kB) * x[1];
    y[0] = kScaleZero * x[0];
    y[1] = evenA + oddA;
    y[2] = evenA - oddA;
    y[3] = evenB + oddB;
    y[4] = evenB - oddB;
    y[5] = x[2];
  }
};

/// G for a filter of 4: 4 values to 6.
struct Filter4Transform {
  static constexpr int kFrom = 4, kTo = 6;
  SECATEUR_INLINE void apply(const Vec* x, Vec* y) {
    const Vec evenA = multiplyAdd(kScaleA * kA2, x[2], kScaleA * x[0]),
              oddA = multiplyAdd(kScaleA * kA * kA2, x[3], (kScaleA * kA) * x[1]);
    const Vec evenB = multiplyAdd(kScaleB * kB2, x[2], kScaleB * x[0]),
              oddB = multiplyAdd(kScaleB * kB * kB2, x[3], (kScaleB * kB) * x[1]);
    y[0] = kScaleZero * x[0];
    y[1] = evenA + oddA;
    y[2] = evenA - oddA;
    y[3] = evenB + oddB;
    y[4] = evenB - oddB;
    y[5] = x[3];
  }
};

/// A^T with 4 results.
struct Result4Transform {
  static constexpr int kFrom = 6, kTo = 4;
  SECATEUR_INLINE void apply(const Vec* x, Vec* y) {
    const Vec sumA = x[1] + x[2], differenceA = x[1] - x[2], sumB = x[3] + x[4], differenceB = x[3] - x[4];
    y[0] = x[0] + sumA + sumB;
    y[1] = multiplyAdd(kA, differenceA, kB * differenceB);
    y[2] = multiplyAdd(kA2, sumA, kB2 * sumB);
    y[3] = multiplyAdd(kA * kA2, differenceA, multiplyAdd(kB * kB2, differenceB, x[5]));
  }
};

/// A^T with 3 results.
struct Result3Transform {
  static constexpr int kFrom = 6, kTo = 3;
  SECATEUR_INLINE void apply(const Vec* x, Vec* y) {
    const Vec sumA = x[1] + x[2], differenceA = x[1] - x[2], sumB = x[3] + x[4], differenceB = x[3] - x[4];
    y[0] = x[0] + sumA + sumB;
    y[1] = multiplyAdd(kA, differenceA, kB * differenceB);
    y[2] = multiplyAdd(kA2, sumA, multiplyAdd(kB2, sumB, x[5]));
  }
};

/// Applies a transform to both axes of a square: `put(i, j, value)` gets T d T^t where `get(i, j)` gives d.
template <class Transform, class Get, class Put>
SECATEUR_INLINE void square(const Get& get, const Put& put) {
  constexpr int from = Transform::kFrom, to = Transform::kTo;
  Vec middle[to][from];
#pragma GCC unroll 6
  for (int j = 0; j < from; j++) {
    Vec column[from], result[to];
#pragma GCC unroll 6
    for (int i = 0; i < from; i++) column[i] = get(i, j);
    Transform::apply(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) middle[i][j] = result[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < to; i++) {
    Vec result[to];
    Transform::apply(middle[i], result);
#pragma GCC unroll 6
    for (int j = 0; j < to; j++) put(i, j, result[j]);
  }
}

/// An image batch `[batch, height, width, channels]` seen as tiles of 4x4, the last ones of a row or column cut off.
struct Tiling {
  std::int64_t height, width, channels, across, perImage;

  SECATEUR_ALWAYS_INLINE Tiling(std::int64_t h, std::int64_t w, std::int64_t c)
      : height(h), width(w), channels(c), across((w + 3) / 4), perImage(((h + 3) / 4) * ((w + 3) / 4)) {}
};

/// One tile: where its `size` x `size` window starts (which may be outside of the image) and which part is inside.
struct Window {
  std::int64_t offset, rowStride;
  int firstRow, endRow, firstColumn, endColumn;
  bool whole;

  SECATEUR_ALWAYS_INLINE Window(const Tiling& tiling, std::int64_t tile, int size, int pad) {
    const std::int64_t image = tile / tiling.perImage, within = tile % tiling.perImage;
    const std::int64_t top = within / tiling.across * 4 - pad, left = within % tiling.across * 4 - pad;
    rowStride = tiling.width * tiling.channels;
    offset = ((image * tiling.height + top) * tiling.width + left) * tiling.channels;
    firstRow = top < 0 ? int(-top) : 0;
    firstColumn = left < 0 ? int(-left) : 0;
    endRow = tiling.height - top < size ? int(tiling.height - top) : size;
    endColumn = tiling.width - left < size ? int(tiling.width - left) : size;
    whole = firstRow == 0 && firstColumn == 0 && endRow == size && endColumn == size;
  }

  SECATEUR_ALWAYS_INLINE bool has(int i, int j) const {
    return i >= firstRow && i < endRow && j >= firstColumn && j < endColumn;
  }
};

/// Transforms one tile of an image, all channels: `to[point * pointStride + block * blockStride + lane]`.
template <class Transform>
static inline void transformTile(const float* image, const Tiling& tiling, const Window& window, float* to,
                                 std::int64_t pointStride, std::int64_t blockStride) {
  for (std::int64_t channel = 0; channel < tiling.channels; channel += kLanes) {
    // A pointer before the image's first element is never formed: only the offset is negative.
    const std::int64_t base = window.offset + channel;
    const std::int64_t left = tiling.channels - channel;
    float* out = to + channel / kBlock * blockStride + channel % kBlock;
    const auto at = [&](int i, int j) { return image + (base + i * window.rowStride + j * tiling.channels); };
    const auto put = [&](int i, int j, Vec v) { store(out + (i * 6 + j) * pointStride, v); };
    if (left < kLanes)
      square<Transform>([&](int i, int j) { return window.has(i, j) ? loadPart(at(i, j), int(left)) : Vec{}; }, put);
    else if (window.whole)
      square<Transform>([&](int i, int j) { return load(at(i, j)); }, put);
    else
      square<Transform>([&](int i, int j) { return window.has(i, j) ? load(at(i, j)) : Vec{}; }, put);
  }
  // The rest of the last block takes part in the products and must be zero.
  const std::int64_t done = (tiling.channels + kLanes - 1) / kLanes * kLanes;
  for (std::int64_t channel = done; channel % kBlock != 0; channel += kLanes)
    for (int point = 0; point < kPoints; point++)
      store(to + point * pointStride + channel / kBlock * blockStride + channel % kBlock, Vec{});
}

/// Transforms one tile of products back and writes the part of its 4x4 results that lies in the image.
static inline void writeTile(const float* from, std::int64_t pointStride, std::int64_t blockStride, const float* bias,
                             float* image, const Tiling& tiling, const Window& window) {
  for (std::int64_t channel = 0; channel < tiling.channels; channel += kLanes) {
    const std::int64_t base = window.offset + channel;
    const int left = tiling.channels - channel < kLanes ? int(tiling.channels - channel) : kLanes;
    const float* in = from + channel / kBlock * blockStride + channel % kBlock;
    const auto get = [&](int i, int j) { return load(in + (i * 6 + j) * pointStride); };
    const auto at = [&](int i, int j) { return image + (base + i * window.rowStride + j * tiling.channels); };
    const Vec shift = bias ? loadPart(bias + channel, left) : Vec{};
    if (left < kLanes)
      square<Result4Transform>(get, [&](int i, int j, Vec v) {
        if (window.has(i, j)) storePart(at(i, j), v + shift, left);
      });
    else if (window.whole)
      square<Result4Transform>(get, [&](int i, int j, Vec v) { store(at(i, j), v + shift); });
    else
      square<Result4Transform>(get, [&](int i, int j, Vec v) {
        if (window.has(i, j)) store(at(i, j), v + shift);
      });
  }
}

}  // namespace secateur::SECATEUR_ISA::winograd
