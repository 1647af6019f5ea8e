// Picking along an axis, entry by entry, and adding back to where was picked.
#include "ops/gather.h"

#include "cpu/indices.h"
#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

// The fibres of an index along its axis: two of them never meet in the tensor the index points into.
struct Fibres {
  std::int64_t count = 1;       // fibres
  std::int64_t length = 1;      // entries of each
  std::int64_t step = 1;        // between entries, in the index
  std::int64_t targetStep = 1;  // between entries of the axis, in the tensor
  int rank = 0;
  std::int64_t dims[maxRank] = {};
  std::int64_t own[maxRank] = {};
  std::int64_t target[maxRank] = {};
};

SECATEUR_INLINE Fibres fibres(const View& index, const View& x, std::int64_t dim) {
  const auto axis = static_cast<int>(dim < 0 ? dim + x.rank : dim);
  const Strides from = stridesOf(index), to = stridesOf(x);
  Fibres f;
  f.length = index.dims[axis];
  f.step = from.of[axis];
  f.targetStep = to.of[axis];
  for (int d = 0; d < x.rank; d++) {
    if (d == axis) continue;
    f.count *= index.dims[d];
    f.dims[f.rank] = index.dims[d];
    f.own[f.rank] = from.of[d];
    f.target[f.rank] = to.of[d];
    f.rank++;
  }
  return f;
}

// Calls visit(place in the index, place in the tensor) for every entry, in order along each fibre.
template <class Visit>
SECATEUR_INLINE void forEntries(const Fibres& f, const std::int32_t* index, const Visit& visit) {
  parallelFor(f.count, parallelGrain / (f.length + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; k++) {
      std::int64_t rest = k, own = 0, target = 0;
      for (int d = f.rank - 1; d >= 0; d--) {
        const std::int64_t i = rest % f.dims[d];
        rest /= f.dims[d];
        own += i * f.own[d];
        target += i * f.target[d];
      }
      for (std::int64_t i = 0; i < f.length; i++) {
        const std::int64_t at = own + i * f.step;
        visit(at, target + index[at] * f.targetStep);
      }
    }
  });
}

KERNEL(gather, ANY)(const GatherArgs& s) {
  const auto axis = static_cast<int>(s.dim < 0 ? s.dim + s.x.rank : s.dim);
  checkIndices(s.index, s.x.dims[axis]);
  const Fibres f = fibres(s.index, s.x, s.dim);
  withBits(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<const T>();
    T* y = s.y.as<T>();
    forEntries(
        f, s.index.as<const std::int32_t>(), [=](std::int64_t at, std::int64_t target) __attribute__((always_inline)) {
          y[at] = x[target];
        });
  });
}

// y = x (or 0) with src added where the index says. bf16 is summed in f32 and rounded once.
SECATEUR_INLINE void addBack(const View& x, const View& index, const View& src, const View& y, std::int64_t dim) {
  const auto axis = static_cast<int>(dim < 0 ? dim + y.rank : dim);
  checkIndices(index, y.dims[axis]);
  const Fibres f = fibres(index, y, dim);
  withFloat(y.dtype, [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t size = y.size();
    const T* from = src.as<const T>();
    const T* start = x.present ? x.as<const T>() : nullptr;
    T* to = y.as<T>();
    float* sum;
    if constexpr (sizeof(T) == sizeof(float)) {
      sum = to;
    } else {
      sum = scratch<float>(size);
    }
    parallelFor(size, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; i++) sum[i] = start != nullptr ? toFloat(start[i]) : 0;
    });
    forEntries(
        f, index.as<const std::int32_t>(), [=](std::int64_t at, std::int64_t target) __attribute__((always_inline)) {
          sum[target] += toFloat(from[at]);
        });
    if constexpr (sizeof(T) != sizeof(float)) {
      parallelFor(size, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
        for (std::int64_t i = begin; i < end; i++) store(to[i], sum[i]);
      });
    }
  });
}

KERNEL(gatherGrad, F32 | BF16)(const GatherGradArgs& s) { addBack(View{}, s.index, s.g, s.dx, s.dim); }

KERNEL(scatterAdd, F32 | BF16)(const ScatterAddArgs& s) { addBack(s.x, s.index, s.src, s.y, s.dim); }

}  // namespace secateur::SECATEUR_ISA
