// Walking up to three operands that broadcast to one shape. Axes that all operands step through alike are merged first,
// so that the inner loop is long: along it each operand either advances or stands still.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

struct BroadcastPlan {
  int rank = 0;
  std::int64_t dims[maxRank] = {};
  std::int64_t strideA[maxRank] = {};
  std::int64_t strideB[maxRank] = {};
  std::int64_t strideC[maxRank] = {};
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

SECATEUR_INLINE BroadcastPlan planBroadcast(const View& a, const View& b, const View& c, const View& out) {
  std::int64_t sa[maxRank], sb[maxRank], sc[maxRank];
  alignedStrides(a, out, sa);
  alignedStrides(b, out, sb);
  alignedStrides(c, out, sc);
  BroadcastPlan p;
  for (int d = 0; d < out.rank; d++) {
    const std::int64_t n = out.dims[d];
    if (n == 1) continue;
    const int last = p.rank - 1;
    // The axis before steps over exactly this one, in every operand: they are one longer axis.
    if (p.rank > 0 && p.strideA[last] == sa[d] * n && p.strideB[last] == sb[d] * n && p.strideC[last] == sc[d] * n) {
      p.dims[last] *= n;
    } else {
      p.dims[p.rank++] = n;
    }
    p.strideA[p.rank - 1] = sa[d];
    p.strideB[p.rank - 1] = sb[d];
    p.strideC[p.rank - 1] = sc[d];
  }
  if (p.rank == 0) {
    p.rank = 1;
    p.dims[0] = 1;
  }
  return p;
}

SECATEUR_INLINE BroadcastPlan planBroadcast(const View& a, const View& b, const View& out) {
  return planBroadcast(a, b, b, out);
}

// A stretch of the last merged axis: where it begins in the result and in each operand, and each operand's step.
struct Run {
  std::int64_t y, a, b, c, n, stepA, stepB, stepC;
};

// Calls row(run) for runs that cover the result, split over the cores.
template <class F>
SECATEUR_INLINE void forRuns(const BroadcastPlan& p, const F& row) {
  const int inner = p.rank - 1;
  const std::int64_t n = p.dims[inner];
  const std::int64_t sa = p.strideA[inner], sb = p.strideB[inner], sc = p.strideC[inner];
  std::int64_t rows = 1;
  for (int d = 0; d < inner; d++) rows *= p.dims[d];
  if (n == 0 || rows == 0) return;
  if (rows == 1) {
    parallelFor(n, parallelGrain, [&](std::int64_t begin, std::int64_t end) {
      row(Run{begin, begin * sa, begin * sb, begin * sc, end - begin, sa, sb, sc});
    });
    return;
  }
  const std::int64_t grain = parallelGrain / n + 1;
  parallelFor(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; r++) {
      std::int64_t rest = r, atA = 0, atB = 0, atC = 0;
      for (int d = inner - 1; d >= 0; d--) {
        const std::int64_t i = rest % p.dims[d];
        rest /= p.dims[d];
        atA += i * p.strideA[d];
        atB += i * p.strideB[d];
        atC += i * p.strideC[d];
      }
      row(Run{r * n, atA, atB, atC, n, sa, sb, sc});
    }
  });
}

// The same for two operands, spelt out: row(offset of y, offset of a, offset of b, n, step of a, step of b).
template <class F>
SECATEUR_INLINE void forRows(const BroadcastPlan& p, const F& row) {
  forRuns(p, [&](const Run& r) { row(r.y, r.a, r.b, r.n, r.stepA, r.stepB); });
}

// y = f(a, b) for every element: two T to one U.
template <class T, class U = T, class F>
SECATEUR_INLINE void rows(const View& va, const View& vb, const View& vy, const F& f) {
  const T* a = va.as<T>();
  const T* b = vb.as<T>();
  U* y = vy.as<U>();
  forRuns(planBroadcast(va, vb, vy), [=](const Run& r) {
    if (r.stepA == 1 && r.stepB == 1) {
#pragma omp simd
      for (std::int64_t i = 0; i < r.n; i++) y[r.y + i] = f(a[r.a + i], b[r.b + i]);
    } else if (r.stepB == 0) {
      const T fixed = b[r.b];
#pragma omp simd
      for (std::int64_t i = 0; i < r.n; i++) y[r.y + i] = f(a[r.a + i * r.stepA], fixed);
    } else {
      const T fixed = a[r.a];
#pragma omp simd
      for (std::int64_t i = 0; i < r.n; i++) y[r.y + i] = f(fixed, b[r.b + i * r.stepB]);
    }
  });
}

// A step known when the loop is compiled: 1 (the operand advances) or 0 (it stands still).
template <int step>
struct Step {
  static constexpr std::int64_t of(std::int64_t i) { return step * i; }
};
template <class F>
SECATEUR_INLINE void withStep(std::int64_t step, const F& f) {
  if (step == 0) {
    f(Step<0>{});
  } else {
    f(Step<1>{});
  }
}

// y = f(c, a, b) for every element: one C and two T to one T.
template <class C, class T, class F>
SECATEUR_INLINE void rows3(const View& vc, const View& va, const View& vb, const View& vy, const F& f) {
  const C* c = vc.as<C>();
  const T* a = va.as<T>();
  const T* b = vb.as<T>();
  T* y = vy.as<T>();
  forRuns(planBroadcast(va, vb, vc, vy), [=](const Run& r) {
    withStep(r.stepC, [&](auto stepC) {
      withStep(r.stepA, [&](auto stepA) {
        withStep(r.stepB, [&](auto stepB) {
#pragma omp simd
          for (std::int64_t i = 0; i < r.n; i++) {
            y[r.y + i] = f(c[r.c + stepC.of(i)], a[r.a + stepA.of(i)], b[r.b + stepB.of(i)]);
          }
        });
      });
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
