#include "ops/permute.h"
#include "host/rearrange.h"

namespace secateur::cuda {

KERNEL(permute, ANY)(const PermuteArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  Strided index;
  for (int d = 0; d < s.y.rank; d++) {
    const std::int64_t axis = s.dims[static_cast<std::size_t>(d)];
    addAxis(index, s.y.dims[d], {to.of[d], from.of[axis < 0 ? axis + s.x.rank : axis]});
  }
  rearrange(index, s.y, 0, s.x, 0);
}

}  // namespace secateur::cuda
