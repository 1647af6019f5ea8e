#include "host/strided.h"

#include <string>

#include "core/error.h"

namespace secateur::cuda {

FastDivide fastDivide(std::int64_t divisor) {
  if (divisor < 1 || divisor >> 31 != 0)
    throw Error("ERR_CUDA", "an axis of " + std::to_string(divisor) + " is longer than 2^31 - 1.");
  FastDivide d;
  d.divisor = static_cast<std::uint32_t>(divisor);
  while ((std::uint64_t{1} << d.shift) < d.divisor) d.shift++;
  const std::uint64_t above = (std::uint64_t{1} << d.shift) - d.divisor;
  d.multiplier = static_cast<std::uint32_t>((above << 32) / d.divisor + 1);
  return d;
}

Strides stridesOf(const View& v) {
  Strides s;
  std::int64_t step = 1;
  for (int d = v.rank - 1; d >= 0; d--) {
    s.of[d] = step;
    step *= v.dims[d];
  }
  return s;
}

void addAxis(Strided& s, std::int64_t extent, std::initializer_list<std::int64_t> strides) {
  s.n *= extent;
  if (extent <= 1) return;  // nothing to step over, or nothing at all
  const std::int64_t* step = strides.begin();
  const int operands = static_cast<int>(strides.size());
  if (s.rank > 0 && s.n >> 31 == 0) {
    bool joins = true;
    for (int k = 0; k < operands; k++) joins = joins && s.strides[k][s.rank - 1] == extent * step[k];
    if (joins) {
      s.dims[s.rank - 1] = fastDivide(s.dims[s.rank - 1].divisor * extent);
      for (int k = 0; k < operands; k++) s.strides[k][s.rank - 1] = step[k];
      return;
    }
  }
  s.dims[s.rank] = fastDivide(extent);
  for (int k = 0; k < operands; k++) s.strides[k][s.rank] = step[k];
  s.rank++;
}

Strided broadcastTo(const View& y, std::initializer_list<const View*> operands) {
  Strided s;
  Strides own[maxOperands];
  int count = 0;
  for (const View* v : operands) own[count++] = stridesOf(*v);
  for (int d = 0; d < y.rank; d++) {
    std::int64_t step[maxOperands] = {};
    int k = 0;
    for (const View* v : operands) {
      const int at = d - (y.rank - v->rank);
      step[k] = at < 0 || v->dims[at] == 1 ? 0 : own[k].of[at];
      k++;
    }
    addAxis(s, y.dims[d], {step[0], step[1], step[2]});
  }
  return s;
}

bool sameElements(const View& y, std::initializer_list<const View*> operands) {
  for (const View* v : operands) {
    // Shapes that broadcast and have equal sizes differ by axes of extent 1 alone.
    if (v->size() != y.size()) return false;
  }
  return true;
}

}  // namespace secateur::cuda
