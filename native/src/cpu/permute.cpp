// Axes in another order.
#include "ops/permute.h"

#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

KERNEL(permute, ANY)(const PermuteArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  StridedCopy copy;
  for (int d = 0; d < s.y.rank; d++) {
    const std::int64_t axis = s.dims[static_cast<std::size_t>(d)];
    copy.axis(s.y.dims[d], to.of[d], from.of[axis < 0 ? axis + s.x.rank : axis]);
  }
  withBits(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    copyStrided(copy, s.y.as<T>(), s.x.as<const T>());
  });
}

}  // namespace secateur::SECATEUR_ISA
