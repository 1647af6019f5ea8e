// Class numbers that index the columns of a matrix of scores.
#pragma once
#include <cstdint>
#include <cstdio>

#include "core/error.h"
#include "core/view.h"
#include "cpu/vecmath.h"

namespace secateur::SECATEUR_ISA {

// Refuses a target outside [0, classes) that is not the one to ignore, before anything is read through it.
SECATEUR_INLINE void checkTargets(const View& target, std::int64_t classes, std::int64_t ignore) {
  const auto* t = target.as<std::int32_t>();
  const std::int64_t rows = target.size();
  for (std::int64_t r = 0; r < rows; r++) {
    if (t[r] == ignore || (t[r] >= 0 && t[r] < classes)) continue;
    char text[200];
    std::snprintf(text, sizeof text,
                  "the target of row %lld is %d; needs a class from 0 to %lld, or ignoreIndex (%lld).",
                  static_cast<long long>(r), static_cast<int>(t[r]), static_cast<long long>(classes - 1),
                  static_cast<long long>(ignore));
    fail(text);
  }
}

}  // namespace secateur::SECATEUR_ISA
