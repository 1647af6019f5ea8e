// Indices are checked before a kernel uses them: no address is ever formed from one that is out of range.
#pragma once
#include <cstdio>

#include "core/error.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

SECATEUR_INLINE void checkIndices(const View& index, std::int64_t extent) {
  const auto* at = index.as<const std::int32_t>();
  const std::int64_t n = index.size();
  std::int64_t bad = 0;
#pragma omp simd reduction(+ : bad)
  for (std::int64_t i = 0; i < n; i++) bad += at[i] < 0 || at[i] >= extent;
  if (bad == 0) return;
  for (std::int64_t i = 0; i < n; i++) {
    if (at[i] >= 0 && at[i] < extent) continue;
    char text[160];
    std::snprintf(text, sizeof text, "index %d at position %lld is outside the extent %lld; needs 0 to %lld.", at[i],
                  static_cast<long long>(i), static_cast<long long>(extent), static_cast<long long>(extent - 1));
    fail(text);
  }
}

}  // namespace secateur::SECATEUR_ISA
