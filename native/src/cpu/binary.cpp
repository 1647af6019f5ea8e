// Pointwise functions of two tensors, broadcasting.
#include "ops/binary.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

// Arithmetic on i32 is done in unsigned, where overflow wraps and is defined.
SECATEUR_INLINE std::int32_t wrapped(std::uint32_t x) { return static_cast<std::int32_t>(x); }

SECATEUR_INLINE float rounded(float, float x) { return x; }
SECATEUR_INLINE bf16 rounded(bf16, float x) { return toBf16(x); }

#define ARITHMETIC(op, Args, floats, integers)                                               \
  KERNEL(op, F32 | BF16 | I32)(const Args& s) {                                              \
    if (s.a.dtype == DType::i32) {                                                           \
      rows<std::int32_t>(                                                                    \
          s.a, s.b, s.y, [](std::int32_t p, std::int32_t q) __attribute__((always_inline)) { \
            const auto a = static_cast<std::uint32_t>(p);                                    \
            const auto b = static_cast<std::uint32_t>(q);                                    \
            return wrapped(integers);                                                        \
          });                                                                                \
      return;                                                                                \
    }                                                                                        \
    withFloat(s.a.dtype, [&](auto tag) {                                                     \
      using T = decltype(tag);                                                               \
      rows<T>(                                                                               \
          s.a, s.b, s.y, [](T p, T q) __attribute__((always_inline)) {                       \
            const float a = toFloat(p);                                                      \
            const float b = toFloat(q);                                                      \
            return rounded(T{}, floats);                                                     \
          });                                                                                \
    });                                                                                      \
  }

ARITHMETIC(add, AddArgs, a + b, a + b)
ARITHMETIC(mul, MulArgs, a* b, a* b)

}  // namespace secateur::SECATEUR_ISA
