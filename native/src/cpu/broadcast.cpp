// Repeating along broadcast axes, and the adjoint of it: summing over them.
#include "ops/broadcast.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

// Sums over the repeated axes. Seen as a broadcast of y to the shape of x, every x is added to its y. Each entry of y
// is summed in double by one thread, in the order of x.
KERNEL(sumTo, F32 | BF16)(const SumToArgs& s) {
  withFloat(s.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = s.x.as<T>();
    T* y = s.y.as<T>();
    const std::int64_t size = s.y.size();
    auto* total = scratch<double>(size);
    for (std::int64_t i = 0; i < size; i++) total[i] = 0;
    const BroadcastPlan p = planBroadcast(s.y, s.x, s.x);
    const int inner = p.rank - 1;
    const std::int64_t n = p.dims[inner];
    std::int64_t count = 1;
    for (int d = 0; d < inner; d++) count *= p.dims[d];
    // Split along the inner axis where its entries go to different sums; else one thread does all.
    const std::int64_t grain = p.strideA[inner] == 0 ? (n > 0 ? n : 1) : parallelGrain / (count + 1) + 16;
    parallelFor(n, grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = 0; r < count; r++) {
        std::int64_t rest = r, at = 0;
        for (int d = inner - 1; d >= 0; d--) {
          at += rest % p.dims[d] * p.strideA[d];
          rest /= p.dims[d];
        }
        const T* row = x + r * n;
        if (p.strideA[inner] == 0) {
          double sum = 0;
#pragma omp simd reduction(+ : sum)
          for (std::int64_t i = begin; i < end; i++) sum += static_cast<double>(toFloat(row[i]));
          total[at] += sum;
        } else {
#pragma omp simd
          for (std::int64_t i = begin; i < end; i++) total[at + i] += static_cast<double>(toFloat(row[i]));
        }
      }
    });
    for (std::int64_t i = 0; i < size; i++) store(y[i], static_cast<float>(total[i]));
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
