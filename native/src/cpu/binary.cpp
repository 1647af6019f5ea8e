// Pointwise functions of two tensors, broadcasting, and the gradients that are more than arithmetic.
#include "ops/binary.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE float rounded(float, float x) { return x; }
SECATEUR_INLINE bf16 rounded(bf16, float x) { return toBf16(x); }

// y = f(a, b) computed in float.
template <class F>
SECATEUR_INLINE void inFloat(const View& va, const View& vb, const View& vy, const F& f) {
  withFloat(va.dtype, [&](auto tag) {
    using T = decltype(tag);
    rows<T>(
        va, vb, vy, [=](T p, T q) __attribute__((always_inline)) { return rounded(T{}, f(toFloat(p), toFloat(q))); });
  });
}

#define FLOATS(floats) \
  inFloat(             \
      s.a, s.b, s.y, [](float a, float b) __attribute__((always_inline)) { return floats; })

// Arithmetic on i32 is done in unsigned (a and b), where overflow wraps and is defined; p and q are the signed values.
#define ARITHMETIC(op, Args, floats, integers)                                             \
  KERNEL(op, F32 | BF16 | I32)(const Args& s) {                                            \
    if (s.a.dtype != DType::i32) return FLOATS(floats);                                    \
    rows<std::int32_t>(                                                                    \
        s.a, s.b, s.y, [](std::int32_t p, std::int32_t q) __attribute__((always_inline)) { \
          [[maybe_unused]] const auto a = static_cast<std::uint32_t>(p);                   \
          [[maybe_unused]] const auto b = static_cast<std::uint32_t>(q);                   \
          return static_cast<std::int32_t>(integers);                                      \
        });                                                                                \
  }

ARITHMETIC(add, AddArgs, a + b, a + b)
ARITHMETIC(sub, SubArgs, a - b, a - b)
ARITHMETIC(mul, MulArgs, a* b, a* b)
// A NaN in a is kept by the second test, one in b because it makes the first false.
ARITHMETIC(maximum, MaximumArgs, a > b || a != a ? a : b, p > q ? p : q)
ARITHMETIC(minimum, MinimumArgs, a < b || a != a ? a : b, p < q ? p : q)

KERNEL(div, F32 | BF16)(const DivArgs& s) { FLOATS(a / b); }

// The exponent, when there is only one.
SECATEUR_INLINE float soleExponent(const View& b) {
  if (b.size() != 1) return 0;
  return b.dtype == DType::bf16 ? toFloat(*b.as<bf16>()) : *b.as<float>();
}

KERNEL(pow, F32 | BF16)(const PowArgs& s) {
  // Squares are what pow is mostly asked for, and far cheaper than the library's function.
  if (soleExponent(s.b) == 2.0f) return FLOATS(((void)b, a * a));
  FLOATS(__builtin_powf(a, b));
}

// A slope of 0 wins over an infinite g.
SECATEUR_INLINE float baseGrad(float g, float a, float b) { return b == 0 ? 0 : g * (b * __builtin_powf(a, b - 1.0f)); }
SECATEUR_INLINE float squareGrad(float g, float a, float) { return g * (2.0f * a); }
SECATEUR_INLINE float exponentGrad(float g, float a, float b) {
  return a == 0 && b >= 0 ? 0 : g * (__builtin_powf(a, b) * vlog(a));
}

template <class F>
SECATEUR_INLINE void powGradient(const PowGradArgs& s, const F& f) {
  withFloat(s.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    rows3<T, T>(
        s.g, s.a, s.b, s.d, [=](T g, T a, T b) __attribute__((always_inline)) {
          return rounded(T{}, f(toFloat(g), toFloat(a), toFloat(b)));
        });
  });
}

#define POW_GRAD(grad) \
  powGradient(         \
      s, [](float g, float a, float b) __attribute__((always_inline)) { return grad(g, a, b); })

KERNEL(powGrad, F32 | BF16)(const PowGradArgs& s) {
  if (s.of == PowGradArgs::Of::exponent) {
    POW_GRAD(exponentGrad);
  } else if (soleExponent(s.b) == 2.0f) {
    POW_GRAD(squareGrad);
  } else {
    POW_GRAD(baseGrad);
  }
}

KERNEL(extremumGrad, F32 | BF16)(const ExtremumGradArgs& s) {
  const float sign = s.which == ExtremumGradArgs::Which::maximum ? 1.0f : -1.0f;
  withFloat(s.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    rows3<T, T>(
        s.g, s.mine, s.other, s.d, [=](T g, T mine, T other) __attribute__((always_inline)) {
          const float m = sign * toFloat(mine);
          const float o = sign * toFloat(other);
          return rounded(T{}, m < o ? 0.0f : m == o ? 0.5f * toFloat(g) : toFloat(g));
        });
  });
}

}  // namespace secateur::SECATEUR_ISA
