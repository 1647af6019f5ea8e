// Entries of an axis picked by a list of indices, and the sum of what came back for each.
#include "ops/indexSelect.h"

#include "cpu/indices.h"
#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

// A tensor seen around one axis.
struct AroundAxis {
  std::int64_t outer = 1, extent = 1, inner = 1;
};
SECATEUR_INLINE AroundAxis around(const View& v, std::int64_t dim) {
  const auto axis = static_cast<int>(dim < 0 ? dim + v.rank : dim);
  AroundAxis a;
  for (int d = 0; d < axis; d++) a.outer *= v.dims[d];
  a.extent = v.dims[axis];
  for (int d = axis + 1; d < v.rank; d++) a.inner *= v.dims[d];
  return a;
}

KERNEL(indexSelect, ANY)(const IndexSelectArgs& s) {
  const AroundAxis a = around(s.x, s.dim);
  checkIndices(s.index, a.extent);
  const auto* index = s.index.as<const std::int32_t>();
  const std::int64_t n = s.index.size(), inner = a.inner, extent = a.extent;
  withBits(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<const T>();
    T* y = s.y.as<T>();
    parallelFor(a.outer * n, parallelGrain / (inner + 1) + 1, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; r++) {
        const T* row = x + (r / n * extent + index[r % n]) * inner;
        if (inner == 1) {
          y[r] = *row;
        } else {
          std::memcpy(y + r * inner, row, static_cast<std::size_t>(inner) * sizeof(T));
        }
      }
    });
  });
}

// Each entry that occurs is one sum: its positions are chained in order, and one thread adds them up in f32. So nothing
// depends on the threads, and an entry that occurs once or never costs no more than its row.
KERNEL(indexSelectGrad, F32 | BF16)(const IndexSelectGradArgs& s) {
  const AroundAxis a = around(s.dx, s.dim);
  checkIndices(s.index, a.extent);
  const auto* index = s.index.as<const std::int32_t>();
  const std::int64_t n = s.index.size(), inner = a.inner, extent = a.extent;
  auto* first = scratch<std::int64_t>(extent);
  auto* next = scratch<std::int64_t>(n);
  auto* heads = scratch<std::int64_t>(n);
  for (std::int64_t e = 0; e < extent; e++) first[e] = -1;
  for (std::int64_t i = n - 1; i >= 0; i--) {
    next[i] = first[index[i]];
    first[index[i]] = i;
  }
  std::int64_t distinct = 0;
  for (std::int64_t i = 0; i < n; i++) {
    if (first[index[i]] == i) heads[distinct++] = i;
  }
  // Columns are summed in pieces that stay on the stack.
  constexpr std::int64_t width = 512;
  const std::int64_t pieces = (inner + width - 1) / width;
  const bool accumulate = s.accumulate;
  withFloat(s.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* g = s.g.as<const T>();
    T* dx = s.dx.as<T>();
    if (!accumulate) fillWith(dx, s.dx.size(), T{});
    const std::int64_t perTask = n / (distinct > 0 ? distinct : 1) * (inner < width ? inner : width);
    parallelFor(a.outer * distinct * pieces, parallelGrain / (perTask + 1) + 1,
                [=](std::int64_t begin, std::int64_t end) {
                  for (std::int64_t t = begin; t < end; t++) {
                    const std::int64_t column = t % pieces * width, outer = t / pieces / distinct;
                    const std::int64_t head = heads[t / pieces % distinct];
                    const std::int64_t w = inner - column < width ? inner - column : width;
                    T* to = dx + (outer * extent + index[head]) * inner + column;
                    float sum[width];
                    for (std::int64_t c = 0; c < w; c++) sum[c] = toFloat(to[c]);
                    for (std::int64_t i = head; i >= 0; i = next[i]) {
                      const T* row = g + (outer * n + i) * inner + column;
#pragma omp simd
                      for (std::int64_t c = 0; c < w; c++) sum[c] += toFloat(row[c]);
                    }
#pragma omp simd
                    for (std::int64_t c = 0; c < w; c++) store(to[c], sum[c]);
                  }
                });
  });
}

}  // namespace secateur::SECATEUR_ISA
