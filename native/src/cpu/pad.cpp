// A tensor surrounded by a constant.
#include "ops/pad.h"

#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE std::uint32_t bitsFor(DType dtype, double value) {
  switch (dtype) {
    case DType::f32:
      return bitsOf(static_cast<float>(value));
    case DType::bf16:
      return toBf16(static_cast<float>(value)).bits;
    default:
      return static_cast<std::uint32_t>(static_cast<std::int64_t>(value));
  }
}

KERNEL(pad, ANY)(const PadArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  StridedCopy copy;
  std::int64_t start = 0;
  for (int d = 0; d < s.x.rank; d++) {
    start += s.before[static_cast<std::size_t>(d)] * to.of[d];
    copy.axis(s.x.dims[d], to.of[d], from.of[d]);
  }
  const std::uint32_t bits = bitsFor(s.x.dtype, s.value);
  withBits(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    fillWith(s.y.as<T>(), s.y.size(), static_cast<T>(bits));
    if (s.x.size() > 0) copyStrided(copy, s.y.as<T>() + start, s.x.as<const T>());
  });
}

}  // namespace secateur::SECATEUR_ISA
