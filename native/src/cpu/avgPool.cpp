// Means over windows of [N, H, W, C]. Sliding and adaptive windows differ only in where each begins and ends along an
// axis and in what its sum is divided by: both become a table per axis, and one pair of loops serves all.
#include "ops/avgPool.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

constexpr std::int64_t channelBlock = 64;

struct Span {
  std::int64_t begin, end;
  // What this axis contributes to the divisor.
  std::int64_t count;
};

SECATEUR_INLINE Span* slidingSpans(std::int64_t size, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                   std::int64_t padding, bool countIncludePad) {
  auto* spans = scratch<Span>(out);
  for (std::int64_t i = 0; i < out; i++) {
    const std::int64_t begin = i * stride - padding;
    const std::int64_t end = begin + kernel < size + padding ? begin + kernel : size + padding;
    spans[i].begin = begin < 0 ? 0 : begin;
    spans[i].end = end < size ? end : size;
    spans[i].count = countIncludePad ? end - begin : spans[i].end - spans[i].begin;
  }
  return spans;
}

SECATEUR_INLINE Span* adaptiveSpans(std::int64_t size, std::int64_t out) {
  auto* spans = scratch<Span>(out);
  for (std::int64_t i = 0; i < out; i++) {
    spans[i].begin = i * size / out;
    spans[i].end = ((i + 1) * size + out - 1) / out;
    spans[i].count = spans[i].end - spans[i].begin;
  }
  return spans;
}

template <class T>
SECATEUR_INLINE void means(const View& vx, const View& vy, const Span* down, const Span* across) {
  const T* x = vx.as<T>();
  T* y = vy.as<T>();
  const std::int64_t h = vx.dims[1], w = vx.dims[2], channels = vx.dims[3];
  const std::int64_t outH = vy.dims[1], outW = vy.dims[2];
  const std::int64_t pixels = vy.dims[0] * outH * outW;
  const std::int64_t work = (h / outH + 1) * (w / outW + 1) * channels;
  parallelFor(pixels, parallelGrain / work + 1, [=](std::int64_t begin, std::int64_t end) {
    float sum[channelBlock];
    for (std::int64_t pixel = begin; pixel < end; pixel++) {
      const Span rows = down[pixel / outW % outH], columns = across[pixel % outW];
      const float scale = 1.0f / static_cast<float>(rows.count * columns.count);
      const T* image = x + pixel / outW / outH * h * w * channels;
      for (std::int64_t first = 0; first < channels; first += channelBlock) {
        const std::int64_t n = channels - first < channelBlock ? channels - first : channelBlock;
        for (std::int64_t c = 0; c < n; c++) sum[c] = 0;
        for (std::int64_t r = rows.begin; r < rows.end; r++) {
          for (std::int64_t s = columns.begin; s < columns.end; s++) {
            const T* from = image + (r * w + s) * channels + first;
#pragma omp simd
            for (std::int64_t c = 0; c < n; c++) sum[c] += toFloat(from[c]);
          }
        }
        T* to = y + pixel * channels + first;
#pragma omp simd
        for (std::int64_t c = 0; c < n; c++) store(to[c], sum[c] * scale);
      }
    }
  });
}

// For every position of an axis the first and last window that cover it; windows begin and end in order.
struct Cover {
  std::int64_t first, last;
};

SECATEUR_INLINE Cover* covers(std::int64_t size, std::int64_t out, const Span* spans) {
  auto* table = scratch<Cover>(size);
  std::int64_t first = 0, last = -1;
  for (std::int64_t i = 0; i < size; i++) {
    while (first < out && spans[first].end <= i) first++;
    while (last + 1 < out && spans[last + 1].begin <= i) last++;
    table[i].first = first;
    table[i].last = last;
  }
  return table;
}

// Every pixel of dx sums over the windows that cover it: nobody writes to another's pixel.
template <class T>
SECATEUR_INLINE void spread(const View& vg, const View& vdx, const Span* down, const Span* across) {
  const T* g = vg.as<T>();
  T* dx = vdx.as<T>();
  const std::int64_t h = vdx.dims[1], w = vdx.dims[2], channels = vdx.dims[3];
  const std::int64_t outH = vg.dims[1], outW = vg.dims[2];
  const Cover* coverH = covers(h, outH, down);
  const Cover* coverW = covers(w, outW, across);
  parallelFor(vdx.dims[0] * h, parallelGrain / (w * channels * 2 + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
    float sum[channelBlock];
    for (std::int64_t row = begin; row < end; row++) {
      const Cover rows = coverH[row % h];
      for (std::int64_t column = 0; column < w; column++) {
        const Cover columns = coverW[column];
        for (std::int64_t first = 0; first < channels; first += channelBlock) {
          const std::int64_t n = channels - first < channelBlock ? channels - first : channelBlock;
          for (std::int64_t c = 0; c < n; c++) sum[c] = 0;
          for (std::int64_t i = rows.first; i <= rows.last; i++) {
            for (std::int64_t j = columns.first; j <= columns.last; j++) {
              const float scale = 1.0f / static_cast<float>(down[i].count * across[j].count);
              const T* from = g + ((row / h * outH + i) * outW + j) * channels + first;
#pragma omp simd
              for (std::int64_t c = 0; c < n; c++) sum[c] += toFloat(from[c]) * scale;
            }
          }
          T* to = dx + (row * w + column) * channels + first;
#pragma omp simd
          for (std::int64_t c = 0; c < n; c++) store(to[c], sum[c]);
        }
      }
    }
  });
}

}  // namespace

KERNEL(avgPool2d, F32 | BF16)(const AvgPool2dArgs& a) {
  const Span* down = slidingSpans(a.x.dims[1], a.y.dims[1], a.kernel[0], a.stride[0], a.padding[0], a.countIncludePad);
  const Span* across =
      slidingSpans(a.x.dims[2], a.y.dims[2], a.kernel[1], a.stride[1], a.padding[1], a.countIncludePad);
  withFloat(a.x.dtype, [&](auto tag) { means<decltype(tag)>(a.x, a.y, down, across); });
}

KERNEL(avgPool2dGrad, F32 | BF16)(const AvgPool2dGradArgs& a) {
  const Span* down = slidingSpans(a.dx.dims[1], a.g.dims[1], a.kernel[0], a.stride[0], a.padding[0], a.countIncludePad);
  const Span* across =
      slidingSpans(a.dx.dims[2], a.g.dims[2], a.kernel[1], a.stride[1], a.padding[1], a.countIncludePad);
  withFloat(a.g.dtype, [&](auto tag) { spread<decltype(tag)>(a.g, a.dx, down, across); });
}

KERNEL(adaptiveAvgPool2d, F32 | BF16)(const AdaptiveAvgPool2dArgs& a) {
  const Span* down = adaptiveSpans(a.x.dims[1], a.y.dims[1]);
  const Span* across = adaptiveSpans(a.x.dims[2], a.y.dims[2]);
  withFloat(a.x.dtype, [&](auto tag) { means<decltype(tag)>(a.x, a.y, down, across); });
}

KERNEL(adaptiveAvgPool2dGrad, F32 | BF16)(const AdaptiveAvgPool2dGradArgs& a) {
  const Span* down = adaptiveSpans(a.dx.dims[1], a.g.dims[1]);
  const Span* across = adaptiveSpans(a.dx.dims[2], a.g.dims[2]);
  withFloat(a.g.dtype, [&](auto tag) { spread<decltype(tag)>(a.g, a.dx, down, across); });
}

}  // namespace secateur::SECATEUR_ISA
