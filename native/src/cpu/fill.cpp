// Overwriting a tensor: with one value, or with another tensor that broadcasts to it.
#include "ops/fill.h"
#include "cpu/constant.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

KERNEL(fill, ANY)(const FillArgs& a) { setAll(a.y, a.value); }

template <class T>
SECATEUR_INLINE void copyRows(const View& from, const View& y) {
  rows<T>(
      from, from, y, [](T p, T) __attribute__((always_inline)) { return p; });
}

KERNEL(copy, ANY)(const CopyArgs& a) {
  switch (bytesOf(a.y.dtype)) {
    case 4:
      return copyRows<std::uint32_t>(a.from, a.y);
    case 2:
      return copyRows<std::uint16_t>(a.from, a.y);
    default:
      return copyRows<std::uint8_t>(a.from, a.y);
  }
}

}  // namespace secateur::SECATEUR_ISA
