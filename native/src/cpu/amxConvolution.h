// Convolution in bf16 on a processor with AMX, as products of tiles.
//
// oneDNN 2.6 fills the 16 rows of a tile with pixels of one image row, so that a 4 pixels wide image uses a quarter of
// each. Here a tile takes any 16 pixels: their windows are gathered into a panel that stays in the core's own cache
// (9 copies of 64 bytes each against the products of 64 x out values with them), which pays where the results are many
// channels of a narrow image. Shortest times of 22 in turns, batch 128, two cores, in ms, oneDNN -> here (forward,
// gradient of x, gradient of w), each 9.7 GFLOP:
//
//   64 channels 32x32     4.1  4.7  8.7  ->  10.1 10.5 19.4
//   128 channels 16x16    3.1  3.8 11.2  ->   5.8  5.7  9.8
//   256 channels 8x8      4.0  5.5 12.9  ->   5.1  5.1  6.9
//   512 channels 4x4     11.7 15.4 37.6  ->   5.4  5.9  6.6
//
// So the functions below say for each of the three where it pays.
//
// Channels in multiples of 16, one group. Sums are in f32 and in an order that depends on the shape alone: the same
// bits for every number of threads. A window's part outside of the image is multiplied as zeros, so that an infinite
// weight gives NaN there.
#pragma once

#include "cpu/amx.h"

#ifdef SECATEUR_AMX
#include <omp.h>

#include "core/layout.h"
#include "cpu/dnnl/convolution.h"
#include "cpu/vector.h"

namespace secateur::SECATEUR_ISA::amx {

using Shape = onednn::ConvShape;

constexpr std::int64_t kMostTaps = 121;  // of an 11x11 kernel

SECATEUR_INLINE std::int64_t roundUp(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }
SECATEUR_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

/// Whether the functions below can compute this convolution.
static inline bool convolves(const Shape& s) {
  return available() && s.groups == 1 && s.in % kSide == 0 && s.out % kSide == 0 && s.kernelH * s.kernelW <= kMostTaps;
}

SECATEUR_INLINE bool strided(const Shape& s) { return s.strideH > 1 || s.strideW > 1; }

static inline bool forwardPays(const Shape& s) {
  return convolves(s) && (strided(s) ? s.outWidth() < 16 : s.outWidth() < 8);
}
/// oneDNN's own way with a stride is slow, but for 1x1 kernels, which have nothing to gather.
static inline bool backwardDataPays(const Shape& s) {
  if (!convolves(s)) return false;
  return strided(s) ? s.kernelH * s.kernelW > 1 : s.width < (s.in <= 64 ? 8 : 16);
}
static inline bool backwardWeightsPays(const Shape& s) { return convolves(s) && (s.in > 64 || s.outWidth() < 16); }

/// One place of the kernel: where its value comes from, relative to a pixel's own place in the source.
struct Tap {
  std::int64_t dy, dx, index;
};

/// Pixels `(startY + i stepY, startX + j stepX)` of a result, i < height, j < width, of `batch` images, each the sum
/// over the taps of source(i sourceStepY + dy, j sourceStepX + dx) times the tap's weights.
struct Lattice {
  std::int64_t batch, height, width;
  std::int64_t startY = 0, startX = 0, stepY = 1, stepX = 1, resultHeight, resultWidth;
  std::int64_t sourceStepY = 1, sourceStepX = 1, sourceHeight, sourceWidth, channels;
  std::int64_t tapCount = 0;
  Tap taps[kMostTaps];

  std::int64_t pixels() const { return batch * height * width; }
  /// At least one tile, of zeros where there is no tap.
  std::int64_t depth() const { return tapCount == 0 ? kDepth : roundUp(tapCount * channels, kDepth); }
};

/// A pixel of the lattice, taken apart.
struct Pixel {
  std::int64_t image, i, j;
  SECATEUR_ALWAYS_INLINE Pixel(const Lattice& l, std::int64_t pixel)
      : image(pixel / (l.height * l.width)), i(pixel / l.width % l.height), j(pixel % l.width) {}
  /// The source's first channel for a tap, or -1 outside of the image.
  SECATEUR_ALWAYS_INLINE std::int64_t source(const Lattice& l, const Tap& tap) const {
    const std::int64_t y = i * l.sourceStepY + tap.dy, x = j * l.sourceStepX + tap.dx;
    if (y < 0 || y >= l.sourceHeight || x < 0 || x >= l.sourceWidth) return -1;
    return ((image * l.sourceHeight + y) * l.sourceWidth + x) * l.channels;
  }
  SECATEUR_ALWAYS_INLINE std::int64_t result(const Lattice& l, std::int64_t channels) const {
    return ((image * l.resultHeight + l.startY + i * l.stepY) * l.resultWidth + l.startX + j * l.stepX) * channels;
  }
};

SECATEUR_INLINE __m256i half(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

/// The windows of `count` pixels as rows of A; the rest of the last 32 rows and of the depth is zero.
static inline void gather(const bf16* source, const Lattice& l, std::int64_t first, std::int64_t count, char* to) {
  const std::int64_t rowOfTiles = l.depth() * 2 * kSide;
  for (std::int64_t p = 0; p < roundUp(count, 2 * kSide); p++) {
    char* row = to + p / kSide * rowOfTiles + p % kSide * 2 * kDepth;
    // Value k of the row lies in tile k / 32.
    const auto put = [&](std::int64_t k, __m256i v) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(row + k / kDepth * kTile + k % kDepth * 2), v);
    };
    std::int64_t k = 0;
    if (p < count) {
      const Pixel pixel(l, first + p);
      for (std::int64_t t = 0; t < l.tapCount; t++) {
        const std::int64_t from = pixel.source(l, l.taps[t]);
        if (from < 0)
          for (std::int64_t c = 0; c < l.channels; c += kSide, k += kSide) put(k, _mm256_setzero_si256());
        else
          for (std::int64_t c = 0; c < l.channels; c += kSide, k += kSide) put(k, half(source + from + c));
      }
    }
    for (; k < l.depth(); k += kSide) put(k, _mm256_setzero_si256());
  }
}

/// Weights as B for results in `out`: depth is tap, then input channel.
static inline void packForward(const bf16* w, const Shape& s, const Lattice& l, std::int64_t panel, char* to) {
  const std::int64_t perOut = s.kernelH * s.kernelW * s.in;
  auto* rows = reinterpret_cast<__m512i*>(to + panel * l.depth() * 2 * kSide);
  const __m512i* end = rows + l.depth() / 2;
  for (std::int64_t t = 0; t < l.tapCount; t++)
    for (std::int64_t c = 0; c < s.in; c += kDepth) {
      // 16 rows of (up to) 16 pairs become 16 pairs of rows.
      const bool whole = s.in - c >= kDepth;
      __m512i block[kSide];
      for (std::int64_t o = 0; o < kSide; o++) {
        const bf16* from = w + (panel * kSide + o) * perOut + l.taps[t].index * s.in + c;
        block[o] = _mm512_maskz_loadu_epi64(whole ? 0xff : 0x0f, from);
      }
      transpose(block);
      for (int i = 0; i < (whole ? kSide : kSide / 2); i++) *rows++ = block[i];
    }
  while (rows < end) *rows++ = __m512i{};
}

/// Weights as B for the gradient of x: depth is tap, then output channel.
static inline void packBackward(const bf16* w, const Shape& s, const Lattice& l, std::int64_t panel, char* to) {
  const std::int64_t perOut = s.kernelH * s.kernelW * s.in;
  auto* rows = reinterpret_cast<__m512i*>(to + panel * l.depth() * 2 * kSide);
  const __m512i* end = rows + l.depth() / 2;
  for (std::int64_t t = 0; t < l.tapCount; t++) {
    const bf16* from = w + l.taps[t].index * s.in + panel * kSide;
    for (std::int64_t o = 0; o < s.out; o += 2)
      *rows++ = interleave(half(from + o * perOut), half(from + (o + 1) * perOut));
  }
  while (rows < end) *rows++ = __m512i{};
}

/// Pixels whose windows fit half of a core's second-level cache (1 MiB).
static inline std::int64_t pixelsAtOnce(const Lattice& l) {
  const std::int64_t fit = (std::int64_t{1} << 20) / (2 * l.depth()) / 32 * 32;
  return fit < 32 ? 32 : fit > 512 ? 512 : fit;
}

SECATEUR_INLINE void storeRow(bf16* to, const float* sums, const float* bias) {
  Vec v = secateur::SECATEUR_ISA::load(sums);
  if (bias != nullptr) v += secateur::SECATEUR_ISA::load(bias);
  secateur::SECATEUR_ISA::store(to, v);
}

/// Bytes of the weights of one lattice, packed.
SECATEUR_INLINE std::int64_t packedBytes(const Lattice& l, std::int64_t results) { return l.depth() * results * 2; }

/// result = windows . weights (+ bias), for one lattice; `results` channels. Without a copy the weights are packed for
/// this call.
template <class Pack>
static inline void convolve(const bf16* source, const Lattice& l, const float* bias, bf16* result, std::int64_t results,
                            Packed weights, const Pack& pack) {
  const std::int64_t depth = l.depth(), panels = results / kSide, atOnce = pixelsAtOnce(l), total = l.pixels();
  const std::int64_t bColumn = depth * 2 * kSide, aRow = bColumn;
  const int threads = threadCount();
  const bool fill = weights.data == nullptr || weights.fill;
  char* b = weights.data != nullptr ? static_cast<char*>(weights.data) : scratch<char>(panels * bColumn);
  char* windows = scratch<char>(threads * atOnce / kSide * aRow);
  auto* places = scratch<std::int64_t>(threads * atOnce);
#pragma omp parallel num_threads(threads)
  {
    char* a = windows + omp_get_thread_num() * (atOnce / kSide) * aRow;
    std::int64_t* place = places + omp_get_thread_num() * atOnce;
    alignas(64) float sums[4 * kSide * kSide];
    if (fill) {
#pragma omp for schedule(static)
      for (std::int64_t panel = 0; panel < panels; panel++) pack(panel, b);
    }
    configure();
#pragma omp for schedule(static)
    for (std::int64_t block = 0; block < (total + atOnce - 1) / atOnce; block++) {
      const std::int64_t first = block * atOnce, count = smaller(total - first, atOnce);
      gather(source, l, first, count, a);
      for (std::int64_t p = 0; p < count; p++) place[p] = Pixel(l, first + p).result(l, results);
      for (std::int64_t panel = 0; panel < panels; panel += 2) {
        const std::int64_t columns = smaller(panels - panel, 2);
        for (std::int64_t row = 0; row < count; row += 2 * kSide) {
          const std::int64_t rows = count - row > kSide ? 2 : 1;
          product(rows, columns, a + row / kSide * aRow, aRow, b + panel * bColumn, bColumn, sums, depth, false);
          for (std::int64_t p = row; p < smaller(count, row + rows * kSide); p++)
            for (std::int64_t column = 0; column < columns; column++) {
              const float* from = sums + (((p - row) / kSide * columns + column) * kSide + (p - row) % kSide) * kSide;
              const std::int64_t channel = (panel + column) * kSide;
              storeRow(result + place[p] + channel, from, bias != nullptr ? bias + channel : nullptr);
            }
        }
      }
    }
    release();
  }
}

SECATEUR_INLINE Lattice forwardLattice(const Shape& s) {
  Lattice l;
  l.batch = s.batch;
  l.height = l.resultHeight = s.outHeight();
  l.width = l.resultWidth = s.outWidth();
  l.sourceStepY = s.strideH;
  l.sourceStepX = s.strideW;
  l.sourceHeight = s.height;
  l.sourceWidth = s.width;
  l.channels = s.in;
  for (std::int64_t r = 0; r < s.kernelH; r++)
    for (std::int64_t c = 0; c < s.kernelW; c++)
      l.taps[l.tapCount++] = {r * s.dilationH - s.padTop, c * s.dilationW - s.padLeft, r * s.kernelW + c};
  return l;
}

/// The pixels of x whose row is a and whose column is b, modulo the strides: they meet the same taps.
SECATEUR_INLINE Lattice backwardLattice(const Shape& s, std::int64_t a, std::int64_t b) {
  Lattice l;
  l.batch = s.batch;
  l.height = (s.height - a + s.strideH - 1) / s.strideH;
  l.width = (s.width - b + s.strideW - 1) / s.strideW;
  l.startY = a;
  l.startX = b;
  l.stepY = s.strideH;
  l.stepX = s.strideW;
  l.resultHeight = s.height;
  l.resultWidth = s.width;
  l.sourceHeight = s.outHeight();
  l.sourceWidth = s.outWidth();
  l.channels = s.out;
  for (std::int64_t r = 0; r < s.kernelH; r++)
    for (std::int64_t c = 0; c < s.kernelW; c++) {
      const std::int64_t y = a + s.padTop - r * s.dilationH, x = b + s.padLeft - c * s.dilationW;
      if (y % s.strideH == 0 && x % s.strideW == 0)
        l.taps[l.tapCount++] = {y / s.strideH, x / s.strideW, r * s.kernelW + c};
    }
  return l;
}

static inline void convForward(const Shape& s, const bf16* x, const bf16* w, const float* bias, bf16* y,
                               Packed weights) {
  const Lattice l = forwardLattice(s);
  convolve(x, l, bias, y, s.out, weights, [&](std::int64_t panel, char* to) { packForward(w, s, l, panel, to); });
}

/// What the order of packed weights depends on, and their size.
static inline Layout forwardLayout(const Shape& s) {
  return {static_cast<std::size_t>(packedBytes(forwardLattice(s), s.out)), true, {s.out, s.kernelH, s.kernelW, s.in}};
}

/// Calls each(lattice) for the parts of the image that meet different taps.
template <class Each>
SECATEUR_INLINE void backwardLattices(const Shape& s, const Each& each) {
  for (std::int64_t a = 0; a < smaller(s.strideH, s.height); a++)
    for (std::int64_t b = 0; b < smaller(s.strideW, s.width); b++) each(backwardLattice(s, a, b));
}

static inline Layout backwardLayout(const Shape& s) {
  std::int64_t bytes = 0;
  backwardLattices(s, [&](const Lattice& l) { bytes += packedBytes(l, s.in); });
  return {static_cast<std::size_t>(bytes),
          true,
          {s.out, s.kernelH, s.kernelW, s.in, s.strideH, s.strideW, s.padTop, s.padLeft, s.dilationH, s.dilationW,
           smaller(s.strideH, s.height), smaller(s.strideW, s.width)}};
}

/// Where a stride passes pixels by there is no tap, and the sum is over nothing: zero.
static inline void convBackwardData(const Shape& s, const bf16* dy, const bf16* w, bf16* dx, Packed weights) {
  backwardLattices(s, [&](const Lattice& l) {
    convolve(dy, l, nullptr, dx, s.in, weights,
             [&](std::int64_t panel, char* to) { packBackward(w, s, l, panel, to); });
    if (weights.data != nullptr) weights.data = static_cast<char*>(weights.data) + packedBytes(l, s.in);
  });
}

/// 16 channels of dy for 32 pixels, turned: a tile of A, whose rows are channels. Pixels from `count` on are zeros.
SECATEUR_INLINE void turnGradient(const bf16* dy, std::int64_t channels, std::int64_t count, char* to) {
  __m512i block[kSide];
  const auto row = [&](std::int64_t p) { return p < count ? half(dy + p * channels) : _mm256_setzero_si256(); };
  for (int i = 0; i < kSide; i++) block[i] = interleave(row(2 * i), row(2 * i + 1));
  transpose(block);
  for (int i = 0; i < kSide; i++) _mm512_store_si512(to + i * 64, block[i]);
}

/// dw[o, tap, c] = sum over pixels of dy[pixel, o] x[pixel at tap, c]: products whose depth is the pixels. All threads
/// pack a stretch of pixels together, then each adds its products to its own columns of the sums.
static inline void convBackwardWeights(const Shape& s, const bf16* x, const bf16* dy, bf16* dw) {
  const Lattice l = forwardLattice(s);
  const std::int64_t total = l.pixels(), width = l.tapCount * s.in, rows = s.out / kSide, panels = width / kSide;
  // The columns' panels of one stretch are 2 to 3 MiB: they stay in two cores' own caches.
  const std::int64_t fit = (std::int64_t{5} << 19) / (2 * width) / 32 * 32;
  const std::int64_t stretch = smaller(roundUp(total, kDepth), fit < 256 ? 256 : fit > 2048 ? 2048 : fit);
  const std::int64_t aRow = stretch * 2 * kSide, bColumn = aRow;
  char* a = scratch<char>(rows * aRow);
  char* b = scratch<char>(panels * bColumn);
  auto* sums = scratch<float>(roundUp(rows, 2) * roundUp(panels, 2) * kSide * kSide);
  auto* places = scratch<std::int64_t>(l.tapCount * stretch);
#pragma omp parallel num_threads(threadCount())
  {
    configure();
    for (std::int64_t first = 0; first < total; first += stretch) {
      const std::int64_t count = smaller(total - first, stretch), depth = roundUp(count, kDepth);
#pragma omp for schedule(static) nowait
      for (std::int64_t row = 0; row < rows; row++)
        for (std::int64_t p = 0; p < count; p += kDepth)
          turnGradient(dy + (first + p) * s.out + row * kSide, s.out, count - p, a + row * aRow + p * 2 * kSide);
#pragma omp for schedule(static) collapse(2)
      for (std::int64_t t = 0; t < l.tapCount; t++)
        for (std::int64_t p = 0; p < count; p++) places[t * stretch + p] = Pixel(l, first + p).source(l, l.taps[t]);
#pragma omp for schedule(static)
      for (std::int64_t panel = 0; panel < panels; panel++) {
        const std::int64_t* place = places + panel * kSide / s.in * stretch;
        const bf16* from = x + panel * kSide % s.in;
        auto* to = reinterpret_cast<__m512i*>(b + panel * bColumn);
        const auto at = [&](std::int64_t p) {
          return p < count && place[p] >= 0 ? half(from + place[p]) : _mm256_setzero_si256();
        };
        for (std::int64_t p = 0; p < depth; p += 2) *to++ = interleave(at(p), at(p + 1));
      }
#pragma omp for schedule(static)
      for (std::int64_t panel = 0; panel < panels; panel += 2)
        for (std::int64_t row = 0; row < rows; row += 2) {
          float* sum = sums + (panel * rows + row * smaller(panels - panel, 2)) * kSide * kSide;
          product(smaller(rows - row, 2), smaller(panels - panel, 2), a + row * aRow, aRow, b + panel * bColumn,
                  bColumn, sum, depth, first > 0);
        }
    }
    release();
#pragma omp for schedule(static)
    for (std::int64_t o = 0; o < s.out; o++)
      for (std::int64_t panel = 0; panel < panels; panel++) {
        const std::int64_t pair = panel / 2 * 2, columns = smaller(panels - pair, 2), row = o / kSide;
        const std::int64_t tile = pair * rows + row * columns + panel % 2;
        storeRow(dw + o * width + panel * kSide, sums + (tile * kSide + o % kSide) * kSide, nullptr);
      }
  }
}

}  // namespace secateur::SECATEUR_ISA::amx
#endif
