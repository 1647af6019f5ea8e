// Overwriting a tensor: with one value, or with another tensor that broadcasts to it.
#include "ops/fill.h"
#include "cpu/constant.h"
#include "cpu/rows.h"
#include "cpu/vec.h"

namespace secateur::SECATEUR_ISA {

KERNEL(fill, ANY)(const FillArgs& a) { setAll(a.y, a.value); }

template <class T>
SECATEUR_INLINE void copyRows(const View& from, const View& y) {
  rows<T>(
      from, from, y, [](T p, T) __attribute__((always_inline)) { return p; });
}

// The same elements in the same order, more of them than a cache holds: stores go past it. Any four bytes travel as a
// float; moving one changes no bit.
SECATEUR_INLINE void streamWords(const float* from, float* to, std::int64_t words) {
  parallelFor(words, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) stream(to + i, load(from + i));
    for (; i < end; i++) to[i] = from[i];
    _mm_sfence();
  });
}

KERNEL(copy, ANY)(const CopyArgs& a) {
  const auto bytes = a.y.size() * static_cast<std::int64_t>(bytesOf(a.y.dtype));
  // Shapes of equal size that broadcast differ by axes of extent 1 alone.
  if (a.from.size() == a.y.size() && bytes % 4 == 0 && worthStreaming(a.y.as<float>(), bytes / 4)) {
    return streamWords(a.from.as<float>(), a.y.as<float>(), bytes / 4);
  }
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
