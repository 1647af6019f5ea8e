// Dropout. No mask is stored: forward and backward draw the same words.
#include "ops/dropout.h"
#include "cpu/philox.h"

namespace secateur::SECATEUR_ISA {

KERNEL(dropout, F32 | BF16)(const DropoutArgs& a) {
  // uniform >= p in whole numbers: the same decision everywhere.
  const double bound = __builtin_ceil(a.p * 0x1p24);
  const auto least = static_cast<std::uint32_t>(bound);
  const float scale = static_cast<float>(1.0 / (1.0 - a.p));
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* x = a.x.as<T>();
    T* y = a.y.as<T>();
    withWords(a.random, a.y.size(), [=](const std::uint32_t* words, std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) {
        store(y[i], (words[i - begin] >> 8) >= least ? toFloat(x[i]) * scale : 0.0f);
      }
    });
  });
}

}  // namespace secateur::SECATEUR_ISA
