// Repeating along broadcast axes, and the adjoint of it: summing over them.
#include "ops/broadcast.h"
#include "cpu/reduction.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

// The axes of x that y is repeated along; y is aligned at the last axis.
SECATEUR_INLINE std::uint32_t repeatedAxes(const View& y, const View& x) {
  std::uint32_t bits = 0;
  for (int d = 0; d < x.rank; d++) {
    const int own = d - (x.rank - y.rank);
    if (own < 0 || y.dims[own] != x.dims[d]) bits |= 1u << d;
  }
  return bits;
}

// Sums over the repeated axes; the gradient of a bias, so the sum may go on top of what is there.
KERNEL(sumTo, F32 | BF16)(const SumToArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = s.y.as<T>();
    const bool accumulate = s.accumulate;
    const Reduction plan = planReduction(s.x, repeatedAxes(s.y, s.x));
    reduce<Sums>(
        plan, s.x.as<const T>(), [=](std::int64_t i, const double* sum) __attribute__((always_inline)) {
          store(y[i], static_cast<float>(accumulate ? sum[0] + toDouble(y[i]) : sum[0]));
        });
  });
}

template <class T>
SECATEUR_INLINE void repeat(const View& x, const View& y) {
  rows<T>(
      x, x, y, [](T p, T) __attribute__((always_inline)) { return p; });
}

KERNEL(broadcastTo, ANY)(const BroadcastToArgs& s) {
  switch (bytesOf(s.x.dtype)) {
    case 4:
      return repeat<std::uint32_t>(s.x, s.y);
    case 2:
      return repeat<std::uint16_t>(s.x, s.y);
    default:
      return repeat<std::uint8_t>(s.x, s.y);
  }
}

}  // namespace secateur::SECATEUR_ISA
