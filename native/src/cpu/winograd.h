// 3x3 convolution, stride 1, padding 1, by Winograd's F(4x4, 3x3): a quarter of the multiplications of the direct sum.
//
// Activations `[batch, height, width, channels]`, weights `[out, 3, 3, in]`, all f32, all dense.
//
//   forward          y = A^T [ sum_c (G w G^T) * (B^T x B) ] A     for each 4x4 tile of y
//   backwardData     the same sum with the weights turned by 180 degrees and in/out swapped
//   backwardWeights  dw = A3^T [ sum_tiles (G4 dy G4^T) * (B^T x B) ] A3
//
// For each of the 36 points the sum over channels (or tiles) is a matrix product. Forward works on blocks of tiles
// small enough that a block's transformed data stays in the core's own cache, and every thread has its own block. The
// weight gradient instead gives every thread its own points, so that no sum is split between threads: all results are
// the same bit for bit for every number of threads.
//
// Error against float64, rms over rms of the result, normal values: forward and data gradient 0.8e-6 at 64 channels,
// 1.1e-6 at 128, 1.5e-6 at 256, 2.3e-6 at 512; weight gradient 0.5 to 1.5e-6. Largest single error about ten times
// that.
#pragma once

#include <omp.h>

#include "cpu/winogradGemm.h"

namespace secateur::SECATEUR_ISA {

struct WinogradShape {
  std::int64_t batch, height, width, in, out;
};

namespace winograd {

static inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
static inline std::int64_t blocks(std::int64_t channels) { return (channels + kBlock - 1) / kBlock; }
static inline std::int64_t tiles(const WinogradShape& s) {
  return s.batch * ((s.height + 3) / 4) * ((s.width + 3) / 4);
}

/// Floats from one point to the next: an odd number of cache lines, so that the 36 writes of one tile fall in
/// different cache sets.
static inline std::int64_t pointStride(std::int64_t channelBlocks, std::int64_t rows) {
  return ((channelBlocks * rows) | 1) * kBlock;
}

/// How many tiles one thread transforms and multiplies at a time: few enough for its own cache, enough rows to use
/// each filter value that is fetched often (measured: 14 and 56 are slower), and the same number in every round.
static inline std::int64_t tilesAtOnce(std::int64_t total, std::int64_t threads) {
  const std::int64_t perThread = (total + threads - 1) / threads, most = kTileRows * (28 / kTileRows);
  const std::int64_t rounds = (perThread + most - 1) / most;
  return rounds > 0 ? (perThread + rounds - 1) / rounds : 1;
}

/// Filters for the product: `to[point][to channel / 16][from channel][16]`. Plain: from = in, to = out; turned (for the
/// data gradient): from = out, to = in and the 3x3 taps in reverse order.
static inline void transformFilters(const float* w, std::int64_t out, std::int64_t in, bool turned, float* to) {
  const std::int64_t rows = blocks(turned ? out : in) * kBlock, stride = pointStride(blocks(turned ? in : out), rows);
  const std::int64_t outBlocks = blocks(out), inBlocks = blocks(in);
#pragma omp for collapse(2)
  for (std::int64_t ob = 0; ob < outBlocks; ob++)
    for (std::int64_t ib = 0; ib < inBlocks; ib++) {
      // taps[tap][from][to]
      alignas(64) float taps[9][kBlock][kBlock];
      const std::int64_t outs = smaller(out - ob * kBlock, kBlock), ins = smaller(in - ib * kBlock, kBlock);
      if (outs < kBlock || ins < kBlock) __builtin_memset(taps, 0, sizeof taps);
      for (std::int64_t o = 0; o < outs; o++)
        for (int tap = 0; tap < 9; tap++) {
          const float* row = w + ((ob * kBlock + o) * 9 + tap) * in + ib * kBlock;
          if (turned)
            for (std::int64_t i = 0; i < ins; i++) taps[8 - tap][o][i] = row[i];
          else
            for (std::int64_t i = 0; i < ins; i++) taps[tap][i][o] = row[i];
        }
      float* base = to + (turned ? ib * rows + ob * kBlock : ob * rows + ib * kBlock) * kBlock;
      for (int row = 0; row < kBlock; row++)
        for (int lane = 0; lane < kBlock; lane += kLanes)
          square<Filter3Transform>(
              [&](int i, int j) { return load(&taps[i * 3 + j][row][lane]); },
              [&](int i, int j, Vec v) { store(base + (i * 6 + j) * stride + row * kBlock + lane, v); });
    }
}

/// y = sum over `from` of the transformed filters; `filters` as written by `transformFilters`, `own` is this thread's.
static inline void convolveTiles(const float* x, const float* filters, const float* bias, float* y,
                                 const WinogradShape& s, std::int64_t from, std::int64_t to, std::int64_t first,
                                 std::int64_t end, std::int64_t atOnce, float* own) {
  const Tiling source(s.height, s.width, from), result(s.height, s.width, to);
  const std::int64_t fromBlocks = blocks(from), toBlocks = blocks(to), depth = fromBlocks * kBlock;
  const std::int64_t dataStride = pointStride(fromBlocks, atOnce), sumStride = pointStride(toBlocks, atOnce);
  const std::int64_t filterStride = pointStride(toBlocks, depth);
  float* data = own;
  float* sums = own + kPoints * dataStride;
  for (std::int64_t tile = first; tile < end; tile += atOnce) {
    const std::int64_t count = smaller(end - tile, atOnce);
    for (std::int64_t t = 0; t < count; t++)
      transformTile<DataTransform>(x, source, Window(source, tile + t, 6, 1), data + t * kBlock, dataStride,
                                   atOnce * kBlock);
    for (int point = 0; point < kPoints; point++)
      product(count, toBlocks * kBlock, depth, data + point * dataStride, atOnce * kBlock,
              filters + point * filterStride, depth * kBlock, sums + point * sumStride, atOnce * kBlock);
    for (std::int64_t t = 0; t < count; t++)
      writeTile(sums + t * kBlock, sumStride, atOnce * kBlock, bias, y, result, Window(result, tile + t, 4, 0));
  }
}

static inline std::int64_t filterFloats(std::int64_t from, std::int64_t to) {
  return kPoints * pointStride(blocks(to), blocks(from) * kBlock);
}

static inline std::int64_t ownFloats(std::int64_t atOnce, std::int64_t in, std::int64_t out) {
  return kPoints * (pointStride(blocks(in), atOnce) + pointStride(blocks(out), atOnce));
}

static inline void convolve(const float* x, const float* w, const float* bias, float* y, const WinogradShape& s,
                            bool turned, float* scratch, int threads) {
  const std::int64_t from = turned ? s.out : s.in, to = turned ? s.in : s.out, total = tiles(s);
  const std::int64_t atOnce = tilesAtOnce(total, threads), each = (total + threads - 1) / threads;
  float* filters = scratch;
#pragma omp parallel num_threads(threads)
  {
    transformFilters(w, s.out, s.in, turned, filters);
    const std::int64_t first = omp_get_thread_num() * each;
    float* own = scratch + filterFloats(from, to) + omp_get_thread_num() * ownFloats(atOnce, from, to);
    convolveTiles(x, filters, bias, y, s, from, to, first, smaller(first + each, total), atOnce, own);
  }
}

/// Tiles whose transforms are summed at a time in the weight gradient.
static inline std::int64_t tilesPerSum(const WinogradShape& s) { return smaller(tiles(s), 128); }

}  // namespace winograd

/// Whether Winograd is likely to be faster than the direct sum. Counted in multiplications at the direct kernels'
/// speed: a tile costs half as much again for its transforms, and the filters as much as 32 tiles. Measured at 64 to
/// 512 channels on 4x4 to 32x32: twice as fast or better from 32 tiles on; equal at 3x3 pixels, slower at 1x1, 2x2 and
/// 5x5, for a single 7x7 image, and below 16 channels, which are padded to 16.
static inline bool winogradPays(const WinogradShape& s) {
  using namespace winograd;
  if (s.in < kBlock || s.out < kBlock) return false;
  const std::int64_t padded = blocks(s.in) * blocks(s.out) * kBlock * kBlock;
  return kPoints * (3 * tiles(s) + 64) * padded < 2 * 9 * s.batch * s.height * s.width * s.in * s.out;
}

/// Floats of scratch that `winogradForward` and `winogradBackwardData` need.
static inline std::int64_t winogradScratch(const WinogradShape& s, int threads) {
  const std::int64_t atOnce = winograd::tilesAtOnce(winograd::tiles(s), threads);
  const std::int64_t there = winograd::filterFloats(s.in, s.out), back = winograd::filterFloats(s.out, s.in);
  return (there > back ? there : back) + threads * winograd::ownFloats(atOnce, s.in, s.out);
}

/// y[n,h,w,o] = bias[o] + sum_{r,s,i} x[n,h+r-1,w+s-1,i] weight[o,r,s,i]; `bias` may be null.
static inline void winogradForward(const float* x, const float* weight, const float* bias, float* y,
                                   const WinogradShape& s, float* scratch, int threads) {
  winograd::convolve(x, weight, bias, y, s, false, scratch, threads);
}

/// dx[n,h,w,i] = sum_{r,s,o} dy[n,h-r+1,w-s+1,o] weight[o,r,s,i]
static inline void winogradBackwardData(const float* dy, const float* weight, float* dx, const WinogradShape& s,
                                        float* scratch, int threads) {
  winograd::convolve(dy, weight, nullptr, dx, s, true, scratch, threads);
}

/// Floats of scratch that `winogradBackwardWeights` needs.
static inline std::int64_t winogradWeightsScratch(const WinogradShape& s) {
  using namespace winograd;
  const std::int64_t in = blocks(s.in), out = blocks(s.out), atOnce = tilesPerSum(s);
  return kPoints * (pointStride(in, atOnce) + pointStride(out, atOnce) + pointStride(in, out * kBlock));
}

/// dw[o,r,s,i] = sum_{n,h,w} dy[n,h,w,o] x[n,h+r-1,w+s-1,i]
static inline void winogradBackwardWeights(const float* x, const float* dy, float* dw, const WinogradShape& s,
                                           float* scratch, int threads) {
  using namespace winograd;
  const Tiling source(s.height, s.width, s.in), gradient(s.height, s.width, s.out);
  const std::int64_t in = blocks(s.in), out = blocks(s.out), total = tiles(s), atOnce = tilesPerSum(s);
  const std::int64_t dataStride = pointStride(in, atOnce), gradStride = pointStride(out, atOnce);
  const std::int64_t sumStride = pointStride(in, out * kBlock);
  float* data = scratch;
  float* grads = data + kPoints * dataStride;
  float* sums = grads + kPoints * gradStride;
#pragma omp parallel num_threads(threads)
  {
    for (std::int64_t first = 0; first < total; first += atOnce) {
      const std::int64_t count = smaller(total - first, atOnce);
#pragma omp for schedule(static)
      for (std::int64_t t = 0; t < count; t++) {
        transformTile<DataTransform>(x, source, Window(source, first + t, 6, 1), data + t * kBlock, dataStride,
                                     atOnce * kBlock);
        transformTile<Filter4Transform>(dy, gradient, Window(gradient, first + t, 4, 0), grads + t * kBlock, gradStride,
                                        atOnce * kBlock);
      }
#pragma omp for schedule(static)
      for (int point = 0; point < kPoints; point++)
        productTransposed(out * kBlock, in * kBlock, count, grads + point * gradStride, atOnce * kBlock,
                          data + point * dataStride, atOnce * kBlock, sums + point * sumStride, out * kBlock * kBlock,
                          first > 0);
    }
#pragma omp for schedule(static)
    for (std::int64_t o = 0; o < s.out; o++)
      for (std::int64_t i = 0; i < s.in; i += kLanes) {
        const float* from = sums + (i / kBlock * out * kBlock + o) * kBlock + i % kBlock;
        float* to = dw + o * 9 * s.in + i;
        const int left = int(smaller(s.in - i, kLanes));
        square<Result3Transform>([&](int r, int c) { return load(from + (r * 6 + c) * sumStride); },
                                 [&](int r, int c, Vec v) { storePart(to + (r * 3 + c) * s.in, v, left); });
      }
  }
}

}  // namespace secateur::SECATEUR_ISA
