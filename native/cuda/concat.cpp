#include "ops/concat.h"
#include "host/rearrange.h"

namespace secateur::cuda {

KERNEL(concat, ANY)(const ConcatArgs& s) {
  const auto axis = static_cast<int>(s.dim < 0 ? s.dim + s.y.rank : s.dim);
  const Strides to = stridesOf(s.y);
  std::int64_t at = 0;
  for (const View& x : s.xs) {
    const Strides from = stridesOf(x);
    Strided index;
    for (int d = 0; d < x.rank; d++) addAxis(index, x.dims[d], {to.of[d], from.of[d]});
    rearrange(index, s.y, at * to.of[axis], x, 0);
    at += x.dims[axis];
  }
}

}  // namespace secateur::cuda
