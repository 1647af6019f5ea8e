// Tensors joined along an axis: each is copied into its stripe of the result.
#include "ops/concat.h"

#include "cpu/strided.h"

namespace secateur::SECATEUR_ISA {

KERNEL(concat, ANY)(const ConcatArgs& s) {
  const auto axis = static_cast<int>(s.dim < 0 ? s.dim + s.y.rank : s.dim);
  const Strides to = stridesOf(s.y);
  std::int64_t at = 0;
  for (const View& x : s.xs) {
    if (x.size() > 0) {
      const Strides from = stridesOf(x);
      StridedCopy copy;
      for (int d = 0; d < x.rank; d++) copy.axis(x.dims[d], to.of[d], from.of[d]);
      withBits(x.dtype, [&](auto tag) {
        using T = decltype(tag);
        copyStrided(copy, s.y.as<T>() + at * to.of[axis], x.as<const T>());
      });
    }
    at += x.dims[axis];
  }
}

}  // namespace secateur::SECATEUR_ISA
