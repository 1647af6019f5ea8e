// The largest and the smallest element over axes, and their gradient.
#include "ops/extremes.h"

#include "cpu/reduction.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

// Every value of every dtype is a double, so choosing among doubles loses nothing.
template <class R, class T, class Args>
SECATEUR_INLINE void choose(const Args& s) {
  T* y = s.y.template as<T>();
  reduce<R>(
      planReduction(s.x, axisBits(s.dim, s.x.rank)),
      s.x.template as<const T>(), [=](std::int64_t i, const double* best) __attribute__((always_inline)) {
        if constexpr (sizeof(T) == sizeof(bf16)) {
          store(y[i], static_cast<float>(best[0]));
        } else {
          y[i] = static_cast<T>(best[0]);
        }
      });
}

template <class R, class Args>
SECATEUR_INLINE void chooseAny(const Args& s) {
  switch (s.x.dtype) {
    case DType::f32:
      return choose<R, float>(s);
    case DType::bf16:
      return choose<R, bf16>(s);
    case DType::i32:
      return choose<R, std::int32_t>(s);
    case DType::u8:
      return choose<R, std::uint8_t>(s);
  }
}

KERNEL(amax, ANY)(const AmaxArgs& s) { chooseAny<Largest>(s); }
KERNEL(amin, ANY)(const AminArgs& s) { chooseAny<Smallest>(s); }

// Calls f(index in x, index in y) for every element, in runs.
template <class F>
SECATEUR_INLINE void eachWithOutput(const View& x, std::uint32_t axes, const F& f) {
  forRows(planBroadcast(x, keptShape(x, axes), x),
          [=](std::int64_t at, std::int64_t, std::int64_t k, std::int64_t count, std::int64_t, std::int64_t step) {
            if (step == 0) {
#pragma omp simd
              for (std::int64_t i = 0; i < count; i++) f(at + i, k);
            } else {
#pragma omp simd
              for (std::int64_t i = 0; i < count; i++) f(at + i, k + i);
            }
          });
}

// Elements that equal the extreme share its gradient: dx marks them, the marks are counted, the share goes to each.
KERNEL(extremeGrad, F32 | BF16)(const ExtremeGradArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const std::uint32_t axes = axisBits(s.dim, s.x.rank);
    const T* x = s.x.as<const T>();
    const T* y = s.y.as<const T>();
    const T* g = s.g.as<const T>();
    T* dx = s.dx.as<T>();
    eachWithOutput(
        s.x, axes, [=](std::int64_t i, std::int64_t k) __attribute__((always_inline)) {
          store(dx[i], toFloat(x[i]) == toFloat(y[k]) ? 1.0f : 0.0f);
        });
    auto* share = scratch<float>(s.y.size());
    reduce<Sums>(
        planReduction(s.x, axes),
        static_cast<const T*>(dx), [=](std::int64_t k, const double* ties) __attribute__((always_inline)) {
          share[k] = toFloat(g[k]) / static_cast<float>(ties[0]);
        });
    eachWithOutput(
        s.x, axes, [=](std::int64_t i, std::int64_t k) __attribute__((always_inline)) {
          store(dx[i], toFloat(dx[i]) != 0 ? share[k] : 0.0f);
        });
  });
}

}  // namespace secateur::SECATEUR_ISA
