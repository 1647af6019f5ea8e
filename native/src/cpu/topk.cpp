// The best entries along an axis. Every entry becomes one 64-bit key, value above and place below, so that one
// comparison settles order, NaN and ties.
#include "ops/topk.h"

#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// Larger for larger values; -0 and 0 alike, every NaN on top.
SECATEUR_INLINE std::uint32_t orderOf(float x) {
  const std::uint32_t bits = bitsOf(x + 0.0f);
  const std::uint32_t order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return x != x ? 0xffffffffu : order;
}
// Larger is better, and of equal values the earlier.
SECATEUR_INLINE std::uint64_t keyOf(float x, std::int64_t place, bool largest) {
  const std::uint32_t order = orderOf(x);
  return static_cast<std::uint64_t>(largest ? order : ~order) << 32 | static_cast<std::uint32_t>(~place);
}
SECATEUR_INLINE std::int64_t placeOf(std::uint64_t key) { return ~static_cast<std::uint32_t>(key); }

// Puts `key` in place of the worst of a heap whose worst is on top.
SECATEUR_INLINE void replaceWorst(std::uint64_t* heap, std::int64_t n, std::uint64_t key) {
  std::int64_t at = 0;
  for (;;) {
    std::int64_t child = 2 * at + 1;
    if (child >= n) break;
    if (child + 1 < n && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= key) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = key;
}

struct AxisWalk {
  std::int64_t fibres = 1, extent = 1, inner = 1;
};
SECATEUR_INLINE AxisWalk walk(const View& x, std::int64_t dim) {
  const auto axis = static_cast<int>(dim < 0 ? dim + x.rank : dim);
  AxisWalk w;
  w.extent = x.dims[axis];
  for (int d = axis + 1; d < x.rank; d++) w.inner *= x.dims[d];
  w.fibres = w.inner;
  for (int d = 0; d < axis; d++) w.fibres *= x.dims[d];
  return w;
}

KERNEL(topk, F32 | BF16)(const TopkArgs& s) {
  const AxisWalk w = walk(s.x, s.dim);
  const std::int64_t k = s.k, extent = w.extent, inner = w.inner;
  if (k == 0) return;
  const bool largest = s.largest;
  auto* indices = s.indices.as<std::int32_t>();
  auto* heaps = scratch<std::uint64_t>(w.fibres * k);
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* all = s.x.as<const T>();
    T* values = s.values.as<T>();
    parallelFor(w.fibres, parallelGrain / (extent + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t f = begin; f < end; f++) {
        const T* x = all + f / inner * extent * inner + f % inner;
        std::uint64_t* heap = heaps + f * k;
        // No key is 0: the place's complement is never 0 for places below 2^32 - 1.
        for (std::int64_t i = 0; i < k; i++) heap[i] = 0;
        for (std::int64_t i = 0; i < extent; i++) {
          const std::uint64_t key = keyOf(toFloat(x[i * inner]), i, largest);
          if (key > heap[0]) replaceWorst(heap, k, key);
        }
        // The worst goes to the end, again and again.
        for (std::int64_t n = k - 1; n > 0; n--) {
          const std::uint64_t last = heap[n];
          heap[n] = heap[0];
          replaceWorst(heap, n, last);
        }
        for (std::int64_t i = 0; i < k; i++) {
          const std::int64_t to = (f / inner * k + i) * inner + f % inner, from = placeOf(heap[i]);
          values[to] = x[from * inner];
          indices[to] = static_cast<std::int32_t>(from);
        }
      }
    });
  });
}

// The best order of a run by vectors, then the first place that has it.
template <class T>
SECATEUR_INLINE std::int64_t bestOfRun(const T* x, std::int64_t n) {
  std::uint32_t best = 0;
#pragma omp simd reduction(max : best)
  for (std::int64_t i = 0; i < n; i++) {
    const std::uint32_t order = orderOf(toFloat(x[i]));
    best = order > best ? order : best;
  }
  std::int64_t at = 0;
  while (orderOf(toFloat(x[at])) != best) at++;
  return at;
}

KERNEL(argmax, F32 | BF16)(const ArgmaxArgs& s) {
  const AxisWalk w = walk(s.x, s.dim);
  const std::int64_t extent = w.extent, inner = w.inner;
  auto* y = s.y.as<std::int32_t>();
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<const T>();
    if (inner == 1) {
      parallelFor(w.fibres, parallelGrain / (extent + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t f = begin; f < end; f++) y[f] = static_cast<std::int32_t>(bestOfRun(x + f * extent, extent));
      });
      return;
    }
    // Columns side by side, a strip at a time.
    constexpr std::int64_t strip = 256;
    const std::int64_t across = (inner + strip - 1) / strip;
    parallelFor(w.fibres / inner * across, parallelGrain / (extent * (inner < strip ? inner : strip)) + 1,
                [=](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t t = begin; t < end; t++) {
                    const std::int64_t outer = t / across, column = t % across * strip;
                    const std::int64_t n = inner - column < strip ? inner - column : strip;
                    std::uint32_t best[strip] = {};
                    std::int32_t* at = y + outer * inner + column;
                    for (std::int64_t i = 0; i < extent; i++) {
                      const T* row = x + (outer * extent + i) * inner + column;
#pragma omp simd
                      for (std::int64_t c = 0; c < n; c++) {
                        const std::uint32_t order = orderOf(toFloat(row[c]));
                        const bool better = order > best[c];
                        best[c] = better ? order : best[c];
                        at[c] = better ? static_cast<std::int32_t>(i) : at[c];
                      }
                    }
                  }
                });
  });
}

}  // namespace secateur::SECATEUR_ISA
