// Comparisons: 1 where they hold. Floats follow IEEE: every comparison with NaN is false, but for `ne`.
#include "ops/compare.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE std::int32_t comparable(std::int32_t x) { return x; }
SECATEUR_INLINE std::int32_t comparable(std::uint8_t x) { return x; }
SECATEUR_INLINE float comparable(float x) { return x; }
SECATEUR_INLINE float comparable(bf16 x) { return toFloat(x); }

#define COMPARISON(op, Args, sign)                                              \
  KERNEL(op, ANY)(const Args& s) {                                              \
    withElement(s.a.dtype, [&](auto tag) {                                      \
      using T = decltype(tag);                                                  \
      rows<T, std::uint8_t>(                                                    \
          s.a, s.b, s.y, [](T a, T b) __attribute__((always_inline)) {          \
            return static_cast<std::uint8_t>(comparable(a) sign comparable(b)); \
          });                                                                   \
    });                                                                         \
  }

COMPARISON(eq, EqArgs, ==)
COMPARISON(ne, NeArgs, !=)
COMPARISON(lt, LtArgs, <)
COMPARISON(le, LeArgs, <=)
COMPARISON(gt, GtArgs, >)
COMPARISON(ge, GeArgs, >=)

}  // namespace secateur::SECATEUR_ISA
