// Sums and means over axes.
#include "ops/sum.h"

#include "cpu/reduction.h"
#include "cpu/rows.h"

namespace secateur::SECATEUR_ISA {

// A sum of whole numbers is exact in double up to 2^53; beyond the range of i32 it wraps.
template <class T>
SECATEUR_INLINE void sumWhole(const View& x, const View& out, std::uint32_t axes) {
  auto* y = out.as<std::int32_t>();
  reduce<Sums>(
      planReduction(x, axes), x.as<const T>(), [=](std::int64_t i, const double* sum) __attribute__((always_inline)) {
        y[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(static_cast<std::int64_t>(sum[0])));
      });
}

template <class T>
SECATEUR_INLINE void sumFloats(const View& x, const View& out, std::uint32_t axes, double divisor) {
  T* y = out.as<T>();
  reduce<Sums>(
      planReduction(x, axes), x.as<const T>(), [=](std::int64_t i, const double* sum) __attribute__((always_inline)) {
        store(y[i], static_cast<float>(sum[0] / divisor));
      });
}

KERNEL(sum, ANY)(const SumArgs& s) {
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  switch (s.x.dtype) {
    case DType::f32:
      return sumFloats<float>(s.x, s.y, axes, 1);
    case DType::bf16:
      return sumFloats<bf16>(s.x, s.y, axes, 1);
    case DType::i32:
      return sumWhole<std::int32_t>(s.x, s.y, axes);
    case DType::u8:
      return sumWhole<std::uint8_t>(s.x, s.y, axes);
  }
}

KERNEL(mean, F32 | BF16)(const MeanArgs& s) {
  const std::uint32_t axes = axisBits(s.dim, s.x.rank);
  const auto n = static_cast<double>(planReduction(s.x, axes).terms());
  withFloat(s.x.dtype, [&](auto tag) { sumFloats<decltype(tag)>(s.x, s.y, axes, n); });
}

// Every element gets its output's gradient divided by the number of elements.
KERNEL(meanGrad, F32 | BF16)(const MeanGradArgs& s) {
  const std::uint32_t axes = axisBits(s.dim, s.dx.rank);
  const auto n = static_cast<float>(planReduction(s.dx, axes).terms());
  View g = keptShape(s.dx, axes);
  g.data = s.g.data;
  withFloat(s.dx.dtype, [&](auto tag) {
    using T = decltype(tag);
    rows<T>(
        g, g, s.dx, [=](T p, T) __attribute__((always_inline)) {
          T y;
          store(y, toFloat(p) / n);
          return y;
        });
  });
}

}  // namespace secateur::SECATEUR_ISA
