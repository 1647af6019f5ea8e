// Exactly k entries of smallest magnitude dropped: as a mask of zeros and ones, or applied.
#include "ops/hardMask.h"

#include "cpu/parallel.h"
#include "cpu/pdpMask.h"

namespace secateur::SECATEUR_ISA {

KERNEL(hardMask, F32)(const HardMaskArgs& a) {
  const std::int32_t* counts = a.counts.as<std::int32_t>() + 2 * a.layer;
  pdpHardSelect(
      a.w.as<float>(), a.mask.as<float>(), a.w.size(), counts[0], a.levels.as<float>()[3 * a.layer], counts[1],
      [](float) __attribute__((always_inline)) { return 1.0f; });
}

KERNEL(applyHardMask, F32)(const ApplyHardMaskArgs& a) {
  const std::int32_t* counts = a.counts.as<std::int32_t>() + 2 * a.layer;
  pdpHardMask(a.w.as<float>(), a.y.as<float>(), a.w.size(), counts[0], a.levels.as<float>()[3 * a.layer], counts[1]);
}

}  // namespace secateur::SECATEUR_ISA
