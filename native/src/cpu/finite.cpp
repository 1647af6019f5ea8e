// Looking for infinities and NaN: a float is one of them when all bits of its exponent are set.
#include "ops/finite.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE bool finite(float x) { return (bitsOf(x) & 0x7f800000u) != 0x7f800000u; }

KERNEL(isFinite, F32 | BF16)(const IsFiniteArgs& a) {
  withFloat(a.x.dtype, [&](auto tag) {
    const auto* x = a.x.as<decltype(tag)>();
    auto* y = a.y.as<std::uint8_t>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) y[i] = finite(toFloat(x[i]));
    });
  });
}

KERNEL(allFinite, F32 | BF16)(const AllFiniteArgs& a) {
  const std::int64_t n = a.x.size();
  const std::int64_t chunks = n / parallelGrain + 1;
  auto* bad = scratch<std::int32_t>(chunks);
  for (std::int64_t c = 0; c < chunks; c++) bad[c] = 0;
  withFloat(a.x.dtype, [&](auto tag) {
    const auto* x = a.x.as<decltype(tag)>();
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
      std::int32_t found = 0;
#pragma omp simd reduction(| : found)
      for (std::int64_t i = begin; i < end; i++) found |= finite(toFloat(x[i])) ? 0 : 1;
      bad[begin / parallelGrain] = found;
    });
  });
  std::int32_t any = 0;
  for (std::int64_t c = 0; c < chunks; c++) any |= bad[c];
  *a.y.as<std::uint8_t>() = any == 0;
}

}  // namespace secateur::SECATEUR_ISA
