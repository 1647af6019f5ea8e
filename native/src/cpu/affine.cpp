// A tensor times a number plus a number, and a tensor plus a multiple of another.
#include "ops/affine.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

KERNEL(affine, F32 | BF16)(const AffineArgs& a) {
  const float scale = static_cast<float>(a.scale);
  const float shift = static_cast<float>(a.shift);
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(y[i], fma(toFloat(x[i]), scale, shift));
    });
  });
}

KERNEL(addScaled, F32 | BF16)(const AddScaledArgs& s) {
  const float scale = static_cast<float>(s.scale);
  withFloat(s.a.dtype, [&](auto tag) {
    using T = decltype(tag);
    rows<T>(
        s.a, s.b, s.y, [=](T a, T b) __attribute__((always_inline)) {
          T y;
          store(y, fma(scale, toFloat(b), toFloat(a)));
          return y;
        });
  });
}

}  // namespace secateur::SECATEUR_ISA
