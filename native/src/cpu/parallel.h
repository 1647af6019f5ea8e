// Loops over both cores. One copy per instruction set, so that no code compiled for AVX-512 is shared with AVX2.
#pragma once
#include <cstdint>

#include "core/kernel.h"
#include "cpu/vecmath.h"

namespace secateur::SECATEUR_ISA {

// Below this many elements a parallel region costs more than it saves.
constexpr std::int64_t parallelGrain = 32768;

// Calls f(begin, end) on disjoint ranges that cover [0, n). Ranges depend on n and grain alone, never on the number of
// threads, so that a reduction per range gives the same bits everywhere.
template <class F>
SECATEUR_INLINE void parallelFor(std::int64_t n, std::int64_t grain, const F& f) {
  if (n <= 0) return;
  const std::int64_t chunks = (n + grain - 1) / grain;
  if (chunks == 1) {
    f(std::int64_t{0}, n);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threadCount())
  for (std::int64_t c = 0; c < chunks; c++) {
    const std::int64_t begin = c * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  }
}

// Runs f with a value of the tensor's float type: f(float{}) or f(bf16{}).
template <class F>
SECATEUR_INLINE void withFloat(DType dtype, const F& f) {
  if (dtype == DType::bf16) {
    f(bf16{});
  } else {
    f(float{});
  }
}

// Runs f with a value of the tensor's element type, whichever it is.
template <class F>
SECATEUR_INLINE void withElement(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(bf16{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u8:
      return f(std::uint8_t{});
  }
}

}  // namespace secateur::SECATEUR_ISA
