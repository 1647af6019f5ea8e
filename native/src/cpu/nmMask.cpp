// N:M masks along the last axis.
#include "cpu/nmMask.h"

#include "cpu/parallel.h"
#include "ops/nmMask.h"

namespace secateur::SECATEUR_ISA {

KERNEL(nmSoftWeight, F32)(const NmSoftWeightArgs& a) {
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    nmMask(a.w.as<float>(), a.y.as<T>(), a.w.size(), static_cast<int>(a.n), static_cast<int>(a.m),
           static_cast<float>(a.tau));
  });
}

KERNEL(nmSoftWeightGrad, F32 | BF16)(const NmSoftWeightGradArgs& a) {
  withFloat(a.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    nmMaskGrad(a.w.as<float>(), a.g.as<T>(), a.dw.as<float>(), a.w.size(), static_cast<int>(a.n), static_cast<int>(a.m),
               static_cast<float>(a.tau));
  });
}

KERNEL(nmHardMask, F32)(const NmHardMaskArgs& a) {
  nmHardMask<true>(a.w.as<float>(), a.mask.as<float>(), a.w.size(), static_cast<int>(a.n), static_cast<int>(a.m));
}

}  // namespace secateur::SECATEUR_ISA
