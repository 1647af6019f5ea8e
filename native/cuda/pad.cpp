#include "ops/pad.h"
#include "host/rearrange.h"

namespace secateur::cuda {

KERNEL(pad, ANY)(const PadArgs& s) {
  const Strides from = stridesOf(s.x), to = stridesOf(s.y);
  Strided index;
  std::int64_t start = 0;
  for (int d = 0; d < s.x.rank; d++) {
    start += s.before[static_cast<std::size_t>(d)] * to.of[d];
    addAxis(index, s.x.dims[d], {to.of[d], from.of[d]});
  }
  setAll(s.y, s.value);
  rearrange(index, s.y, start, s.x, 0);
}

}  // namespace secateur::cuda
