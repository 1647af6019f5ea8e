// Largest value of sliding windows over [N, H, W, C]. Channels lie next to each other, so every loop runs over them;
// a block of them keeps its running maximum on the stack.
#include "ops/maxPool.h"
#include "core/error.h"
#include "cpu/parallel.h"
#include "cpu/vector.h"

namespace secateur::SECATEUR_ISA {

namespace {

constexpr std::int64_t channelBlock = 64;

// Which place of its window won, kept in one byte unless the window has more than 256 places.
template <class T, class Place>
SECATEUR_INLINE void forward(const MaxPool2dArgs& a) {
  const T* x = a.x.as<T>();
  T* y = a.y.as<T>();
  Place* winner = a.winner.as<Place>();
  const std::int64_t h = a.x.dims[1], w = a.x.dims[2], channels = a.x.dims[3];
  const std::int64_t outH = a.y.dims[1], outW = a.y.dims[2];
  const std::int64_t kh = a.kernel[0], kw = a.kernel[1], sh = a.stride[0], sw = a.stride[1];
  const std::int64_t ph = a.padding[0], pw = a.padding[1];
  const std::int64_t rows = a.y.dims[0] * outH;
  parallelFor(rows, parallelGrain / (outW * channels * kh * kw + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
    float best[channelBlock];
    std::int32_t place[channelBlock];
    for (std::int64_t row = begin; row < end; row++) {
      const std::int64_t top = row % outH * sh - ph;
      const T* image = x + row / outH * h * w * channels;
      for (std::int64_t j = 0; j < outW; j++) {
        const std::int64_t left = j * sw - pw;
        for (std::int64_t first = 0; first < channels; first += channelBlock) {
          const std::int64_t n = channels - first < channelBlock ? channels - first : channelBlock;
          bool started = false;
          for (std::int64_t p = 0; p < kh; p++) {
            if (top + p < 0 || top + p >= h) continue;
            for (std::int64_t q = 0; q < kw; q++) {
              if (left + q < 0 || left + q >= w) continue;
              const T* from = image + ((top + p) * w + left + q) * channels + first;
              const std::int32_t here = static_cast<std::int32_t>(p * kw + q);
              if (!started) {
                started = true;
#pragma omp simd
                for (std::int64_t c = 0; c < n; c++) {
                  best[c] = toFloat(from[c]);
                  place[c] = here;
                }
                continue;
              }
#pragma omp simd
              for (std::int64_t c = 0; c < n; c++) {
                const float v = toFloat(from[c]);
                // Every NaN takes over, and nothing is greater than a NaN.
                const bool wins = (v > best[c]) | (v != v);
                best[c] = wins ? v : best[c];
                place[c] = wins ? here : place[c];
              }
            }
          }
          const std::int64_t at = (row * outW + j) * channels + first;
#pragma omp simd
          for (std::int64_t c = 0; c < n; c++) {
            store(y[at + c], best[c]);
            winner[at + c] = static_cast<Place>(place[c]);
          }
        }
      }
    }
  });
}

typedef std::int32_t Places __attribute__((vector_size(kLanes * 4)));

// As many places as a register has lanes, or the first few of them. Bytes are compared as integers: GCC does not turn
// a loop that mixes them with floats into vector code.
template <class Place>
SECATEUR_INLINE Places loadPlaces(const Place* p, int lanes) {
  typedef Place Loose __attribute__((vector_size(kLanes * sizeof(Place)), aligned(1), may_alias));
  if (lanes == kLanes) return __builtin_convertvector(*reinterpret_cast<const Loose*>(p), Places);
  Places some{};
  for (int i = 0; i < lanes; i++) some[i] = p[i];
  return some;
}

template <int N>
struct Registers {
  static constexpr int count = N;
};

// Every pixel of dx asks the windows that cover it whether it won: nobody writes to another's pixel.
template <class T, class Place>
SECATEUR_INLINE void backward(const MaxPool2dGradArgs& a) {
  const T* g = a.g.as<T>();
  T* dx = a.dx.as<T>();
  const Place* winner = a.winner.as<Place>();
  const std::int64_t h = a.dx.dims[1], w = a.dx.dims[2], channels = a.dx.dims[3];
  const std::int64_t outH = a.g.dims[1], outW = a.g.dims[2];
  const std::int64_t kh = a.kernel[0], kw = a.kernel[1], sh = a.stride[0], sw = a.stride[1];
  const std::int64_t ph = a.padding[0], pw = a.padding[1];
  const std::int64_t rows = a.dx.dims[0] * h;
  parallelFor(rows, parallelGrain / (w * channels * 4 + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; row++) {
      const std::int64_t r = row % h + ph;
      const std::int64_t iFirst = r < kh ? 0 : (r - kh) / sh + 1;
      const std::int64_t iLast = r / sh < outH ? r / sh : outH - 1;
      const std::int64_t image = row / h * outH;
      for (std::int64_t column = 0; column < w; column++) {
        const std::int64_t s = column + pw;
        const std::int64_t jFirst = s < kw ? 0 : (s - kw) / sw + 1;
        const std::int64_t jLast = s / sw < outW ? s / sw : outW - 1;
        const auto group = [&](std::int64_t first, auto registers, int lanes) __attribute__((always_inline)) {
          constexpr int n = decltype(registers)::count;
          Vec sum[n] = {};
          for (std::int64_t i = iFirst; i <= iLast; i++) {
            for (std::int64_t j = jFirst; j <= jLast; j++) {
              const std::int32_t here = static_cast<std::int32_t>((r - i * sh) * kw + s - j * sw);
              const std::int64_t at = ((image + i) * outW + j) * channels + first;
#pragma GCC unroll 4
              for (int v = 0; v < n; v++)
                sum[v] +=
                    loadPlaces(winner + at + v * kLanes, lanes) == here ? loadPart(g + at + v * kLanes, lanes) : Vec{};
            }
          }
          for (int v = 0; v < n; v++) storePart(dx + (row * w + column) * channels + first + v * kLanes, sum[v], lanes);
        };
        std::int64_t first = 0;
        for (; first + 4 * kLanes <= channels; first += 4 * kLanes) group(first, Registers<4>{}, kLanes);
        for (; first < channels; first += kLanes)
          group(first, Registers<1>{}, channels - first < kLanes ? static_cast<int>(channels - first) : kLanes);
      }
    }
  });
}

}  // namespace

KERNEL(maxPool2d, F32 | BF16)(const MaxPool2dArgs& a) {
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    if (a.winner.dtype == DType::u8) {
      forward<T, std::uint8_t>(a);
    } else {
      forward<T, std::int32_t>(a);
    }
  });
}

KERNEL(maxPool2dGrad, F32 | BF16)(const MaxPool2dGradArgs& a) {
  withFloat(a.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    if (a.winner.dtype == DType::u8) {
      backward<T, std::uint8_t>(a);
    } else if (a.winner.dtype == DType::i32) {
      backward<T, std::int32_t>(a);
    } else {
      fail("winner must be u8 or i32, as maxPool2d gives it.");
    }
  });
}

}  // namespace secateur::SECATEUR_ISA
