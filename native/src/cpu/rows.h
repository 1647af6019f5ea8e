// Walking two operands that broadcast to one shape. Axes that both operands step through alike are merged first, so
// that the inner loop is long: either both advance, or one stands still.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

struct BroadcastPlan {
  int rank = 0;
  std::int64_t dims[maxRank] = {};
  std::int64_t strideA[maxRank] = {};
  std::int64_t strideB[maxRank] = {};
};

// Strides of an operand aligned at the last axis of `out`; 0 where it is repeated.
SECATEUR_INLINE void alignedStrides(const View& v, const View& out, std::int64_t* strides) {
  std::int64_t step = 1;
  for (int d = out.rank - 1; d >= 0; d--) {
    const int own = d - (out.rank - v.rank);
    const std::int64_t extent = own >= 0 ? v.dims[own] : 1;
    strides[d] = extent == 1 ? 0 : step;
    step *= extent;
  }
}

SECATEUR_INLINE BroadcastPlan planBroadcast(const View& a, const View& b, const View& out) {
  std::int64_t sa[maxRank], sb[maxRank];
  alignedStrides(a, out, sa);
  alignedStrides(b, out, sb);
  BroadcastPlan p;
  for (int d = 0; d < out.rank; d++) {
    if (out.dims[d] == 1) continue;
    const int last = p.rank - 1;
    // The axis before steps over exactly this one, in both operands: they are one longer axis.
    if (p.rank > 0 && p.strideA[last] == sa[d] * out.dims[d] && p.strideB[last] == sb[d] * out.dims[d]) {
      p.dims[last] *= out.dims[d];
      p.strideA[last] = sa[d];
      p.strideB[last] = sb[d];
    } else {
      p.dims[p.rank] = out.dims[d];
      p.strideA[p.rank] = sa[d];
      p.strideB[p.rank] = sb[d];
      p.rank++;
    }
  }
  if (p.rank == 0) {
    p.rank = 1;
    p.dims[0] = 1;
  }
  return p;
}

// Calls row(offset of y, offset of a, offset of b, n, step of a, step of b) for runs along the last merged axis, split
// over the cores.
template <class Row>
SECATEUR_INLINE void forRows(const BroadcastPlan& p, const Row& row) {
  const int inner = p.rank - 1;
  const std::int64_t n = p.dims[inner];
  std::int64_t rows = 1;
  for (int d = 0; d < inner; d++) rows *= p.dims[d];
  if (n == 0 || rows == 0) return;
  if (rows == 1) {
    parallelFor(n, parallelGrain, [&](std::int64_t begin, std::int64_t end) {
      row(begin, begin * p.strideA[inner], begin * p.strideB[inner], end - begin, p.strideA[inner], p.strideB[inner]);
    });
    return;
  }
  const std::int64_t grain = parallelGrain / n + 1;
  parallelFor(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; r++) {
      std::int64_t rest = r, atA = 0, atB = 0;
      for (int d = inner - 1; d >= 0; d--) {
        const std::int64_t i = rest % p.dims[d];
        rest /= p.dims[d];
        atA += i * p.strideA[d];
        atB += i * p.strideB[d];
      }
      row(r * n, atA, atB, n, p.strideA[inner], p.strideB[inner]);
    }
  });
}

// y = f(a, b) for every element, T to T.
template <class T, class F>
SECATEUR_INLINE void rows(const View& va, const View& vb, const View& vy, const F& f) {
  const T* a = va.as<T>();
  const T* b = vb.as<T>();
  T* y = vy.as<T>();
  forRows(planBroadcast(va, vb, vy),
          [=](std::int64_t oy, std::int64_t oa, std::int64_t ob, std::int64_t n, std::int64_t sa, std::int64_t sb) {
            if (sa == 1 && sb == 1) {
#pragma omp simd
              for (std::int64_t i = 0; i < n; i++) y[oy + i] = f(a[oa + i], b[ob + i]);
            } else if (sb == 0) {
              const T fixed = b[ob];
#pragma omp simd
              for (std::int64_t i = 0; i < n; i++) y[oy + i] = f(a[oa + i * sa], fixed);
            } else {
              const T fixed = a[oa];
#pragma omp simd
              for (std::int64_t i = 0; i < n; i++) y[oy + i] = f(fixed, b[ob + i * sb]);
            }
          });
}

}  // namespace secateur::SECATEUR_ISA
