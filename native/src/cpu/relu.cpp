// relu and its gradient. `x <= 0` is false for NaN, so that NaN passes; -0 becomes 0.
#include "ops/relu.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(relu, F32 | BF16)(const ReluArgs& a) {
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        const float v = toFloat(x[i]);
        store(y[i], v <= 0 ? 0.0f : v);
      }
    });
  });
}

KERNEL(reluGrad, F32 | BF16)(const ReluGradArgs& a) {
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* y = a.y.as<T>();
    const T* g = a.g.as<T>();
    T* dx = a.dx.as<T>();
    parallelFor(a.dx.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        store(dx[i], toFloat(y[i]) <= 0 ? 0.0f : toFloat(g[i]));
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
