// Tensors from nothing: constants, ranges, random numbers, one-hot rows.
#include "ops/creation.h"
#include "core/error.h"
#include "cpu/constant.h"
#include "cpu/philox.h"

namespace secateur::SECATEUR_ISA {

KERNEL(full, ANY)(const FullArgs& a) { setAll(a.y, a.value); }

SECATEUR_INLINE void put(float& y, double x) { y = static_cast<float>(x); }
SECATEUR_INLINE void put(bf16& y, double x) { y = toBf16(static_cast<float>(x)); }
SECATEUR_INLINE void put(std::int32_t& y, double x) { y = static_cast<std::int32_t>(x); }
SECATEUR_INLINE void put(std::uint8_t& y, double x) { y = static_cast<std::uint8_t>(static_cast<std::int32_t>(x)); }

KERNEL(arange, ANY)(const ArangeArgs& a) {
  const double start = a.start, step = a.step;
  withElement(a.y.dtype, [&](auto tag) {
    auto* y = a.y.as<decltype(tag)>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) put(y[i], start + static_cast<double>(i) * step);
    });
  });
}

KERNEL(rand, F32 | BF16)(const RandArgs& a) {
  if (a.y.dtype == DType::bf16) {
    auto* y = a.y.as<bf16>();
    // The upper 8 bits, which bf16 holds exactly: rounding 24 could reach 1.
    withWords(a.random, a.y.size(), [=](const std::uint32_t* words, std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        y[i] = toBf16(static_cast<float>(static_cast<std::int32_t>(words[i - begin] >> 24)) * 0x1p-8f);
      }
    });
    return;
  }
  auto* y = a.y.as<float>();
  withWords(a.random, a.y.size(), [=](const std::uint32_t* words, std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; i++) y[i] = uniformOf(words[i - begin]);
  });
}

KERNEL(randn, F32 | BF16)(const RandnArgs& a) {
  withFloat(a.y.dtype, [&](auto tag) {
    auto* y = a.y.as<decltype(tag)>();
    const std::int64_t n = a.y.size();
    withWords(a.random, n + n % 2, [=](const std::uint32_t* words, std::int64_t begin, std::int64_t end) {
      float cosines[philoxRun / 2], sines[philoxRun / 2];
      const std::int64_t pairs = (end - begin) / 2;
#pragma omp simd
      for (std::int64_t p = 0; p < pairs; p++) {
        const float radius = __builtin_sqrtf(-2.0f * vlog(1.0f - uniformOf(words[2 * p])));
        const Direction d = directionOf(uniformOf(words[2 * p + 1]));
        cosines[p] = radius * d.cosine;
        sines[p] = radius * d.sine;
      }
      for (std::int64_t p = 0; p < pairs; p++) {
        store(y[begin + 2 * p], cosines[p]);
        if (begin + 2 * p + 1 < n) store(y[begin + 2 * p + 1], sines[p]);
      }
    });
  });
}

KERNEL(oneHot, I32)(const OneHotArgs& a) {
  const auto* indices = a.indices.as<std::int32_t>();
  const std::int64_t count = a.indices.size(), classes = a.classes;
  for (std::int64_t i = 0; i < count; i++) {
    if (indices[i] < 0 || indices[i] >= classes) fail("oneHot: an index is not in 0..classes-1.");
  }
  setAll(a.y, 0);
  withElement(a.y.dtype, [&](auto tag) {
    auto* y = a.y.as<decltype(tag)>();
    for (std::int64_t i = 0; i < count; i++) put(y[i * classes + indices[i]], 1);
  });
}

}  // namespace secateur::SECATEUR_ISA
