#include "ops/slice.h"
#include "host/rearrange.h"

namespace secateur::cuda {

KERNEL(slice, ANY)(const SliceArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  Strided index;
  std::int64_t start = 0;
  for (int d = 0; d < s.y.rank; d++) {
    const auto i = static_cast<std::size_t>(d);
    start += s.starts[i] * from.of[d];
    addAxis(index, s.y.dims[d], {to.of[d], from.of[d] * s.steps[i]});
  }
  rearrange(index, s.y, 0, s.x, start);
}

KERNEL(sliceGrad, F32 | BF16)(const SliceGradArgs& s) {
  const Strides from = stridesOf(s.g), to = stridesOf(s.dx);
  Strided index;
  std::int64_t start = 0;
  for (int d = 0; d < s.g.rank; d++) {
    const auto i = static_cast<std::size_t>(d);
    start += s.starts[i] * to.of[d];
    addAxis(index, s.g.dims[d], {to.of[d] * s.steps[i], from.of[d]});
  }
  setAll(s.dx, 0);
  rearrange(index, s.dx, start, s.g, 0);
}

}  // namespace secateur::cuda
