// Variance, standard deviation and their gradient.
#include "ops/variance.h"

#include "cpu/reduction.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

template <class Args, class Function>
SECATEUR_INLINE void variance(const Args& s, const Function& f) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.template as<const T>();
    T* y = s.y.template as<T>();
    auto* mean = s.mean.template as<float>();
    const Reduction plan = planReduction(s.x, axisBits(s.dim, s.x.rank));
    const auto n = static_cast<double>(plan.terms());
    const double divisor = n > s.correction ? n - s.correction : 0;
    reduce<Moments>(
        plan, x, [=](std::int64_t i, const double* moments) __attribute__((always_inline)) {
          // Moments are about the first element that goes into the output.
          const std::int64_t first =
              plan.innerReduced ? plan.kept.offset(i) : plan.kept.offset(i / plan.inner) + i % plan.inner;
          const double shift = n > 0 ? toDouble(x[first]) : 0;
          const double squares = moments[1] - moments[0] * moments[0] / n;
          mean[i] = static_cast<float>(shift + moments[0] / n);
          store(y[i], f(static_cast<float>((squares < 0 ? 0 : squares) / divisor)));
        });
  });
}

KERNEL(var, F32 | BF16)(const VarArgs& s) {
  variance(
      s, [](float v) __attribute__((always_inline)) { return v; });
}

KERNEL(std, F32 | BF16)(const StdArgs& s) {
  variance(
      s, [](float v) __attribute__((always_inline)) { return __builtin_sqrtf(v); });
}

// dx = 2 g (x - mean) / (n - correction), and over 2 std for the standard deviation (0 where that is 0).
KERNEL(varGrad, F32 | BF16)(const VarGradArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const std::uint32_t axes = axisBits(s.dim, s.x.rank);
    const auto n = static_cast<double>(planReduction(s.x, axes).terms());
    const auto divisor = static_cast<float>(n > s.correction ? n - s.correction : 0);
    const T* x = s.x.as<const T>();
    const T* g = s.g.as<const T>();
    const T* std = s.std.present ? s.std.as<const T>() : nullptr;
    const auto* mean = s.mean.as<const float>();
    T* dx = s.dx.as<T>();
    const auto factor = [=](std::int64_t k) __attribute__((always_inline)) {
      const float deviation = std != nullptr ? toFloat(std[k]) : 0.5f;
      return deviation == 0 ? 0.0f : toFloat(g[k]) / deviation / divisor;
    };
    forRows(planBroadcast(s.x, keptShape(s.x, axes), s.x),
            [=](std::int64_t at, std::int64_t, std::int64_t k, std::int64_t count, std::int64_t, std::int64_t step) {
              if (step == 0) {
                const float scale = factor(k), centre = mean[k];
#pragma omp simd
                for (std::int64_t i = at; i < at + count; i++) store(dx[i], scale * (toFloat(x[i]) - centre));
              } else {
#pragma omp simd
                for (std::int64_t i = 0; i < count; i++) {
                  store(dx[at + i], factor(k + i) * (toFloat(x[at + i]) - mean[k + i]));
                }
              }
            });
  });
}

}  // namespace secateur::SECATEUR_ISA
