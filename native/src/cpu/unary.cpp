// Pointwise functions of one tensor: one line each.
#include "ops/unary.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

template <class Args, class F>
SECATEUR_INLINE void pointwise(const Args& a, const F& f) {
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.template as<T>();
    T* y = a.y.template as<T>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(y[i], f(toFloat(x[i])));
    });
  });
}

#define POINTWISE(op, Args, expression)                                        \
  KERNEL(op, F32 | BF16)(const Args& a) {                                      \
    pointwise(                                                                 \
        a, [](float x) __attribute__((always_inline)) { return expression; }); \
  }

POINTWISE(neg, NegArgs, -x)
POINTWISE(exp, ExpArgs, vexp(x))

}  // namespace secateur::SECATEUR_ISA
