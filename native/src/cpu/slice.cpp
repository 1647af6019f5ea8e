// Parts of a tensor, and putting a part back among zeros.
#include "ops/slice.h"

#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

KERNEL(slice, ANY)(const SliceArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  StridedCopy copy;
  std::int64_t start = 0;
  for (int d = 0; d < s.y.rank; d++) {
    const auto i = static_cast<std::size_t>(d);
    start += s.starts[i] * from.of[d];
    copy.axis(s.y.dims[d], to.of[d], from.of[d] * s.steps[i]);
  }
  if (s.y.size() == 0) return;
  withBits(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    copyStrided(copy, s.y.as<T>(), s.x.as<const T>() + start);
  });
}

KERNEL(sliceGrad, F32 | BF16)(const SliceGradArgs& s) {
  const Strides from = stridesOf(s.g), to = stridesOf(s.dx);
  StridedCopy copy;
  std::int64_t start = 0;
  for (int d = 0; d < s.g.rank; d++) {
    const auto i = static_cast<std::size_t>(d);
    start += s.starts[i] * to.of[d];
    copy.axis(s.g.dims[d], to.of[d] * s.steps[i], from.of[d]);
  }
  withBits(s.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    fillWith(s.dx.as<T>(), s.dx.size(), T{0});
    if (s.g.size() > 0) copyStrided(copy, s.dx.as<T>() + start, s.g.as<const T>());
  });
}

}  // namespace secateur::SECATEUR_ISA
