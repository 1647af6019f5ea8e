// Choosing between two tensors by a third. Elements are moved, not computed with: their size is all that matters.
#include "ops/where.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

template <class T>
SECATEUR_INLINE void choose(const WhereArgs& s) {
  rows3<std::uint8_t, T>(
      s.cond, s.a, s.b, s.y, [](std::uint8_t c, T a, T b) __attribute__((always_inline)) { return c != 0 ? a : b; });
}

KERNEL(where, ANY)(const WhereArgs& s) {
  switch (bytesOf(s.y.dtype)) {
    case 4:
      return choose<std::uint32_t>(s);
    case 2:
      return choose<std::uint16_t>(s);
    default:
      return choose<std::uint8_t>(s);
  }
}

}  // namespace secateur::SECATEUR_ISA
