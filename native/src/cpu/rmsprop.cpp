// RMSprop over a list of ranges.
#include "ops/rmsprop.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(rmsprop, F32)(const RmspropArgs& a) {
  const RmspropSettings s{static_cast<float>(a.lr), static_cast<float>(a.alpha), static_cast<float>(a.eps),
                          static_cast<float>(a.weightDecay), static_cast<float>(a.momentum)};
  for (std::size_t i = 0; i < a.w.size(); i++) {
    float* mean = a.a.size() > 0 ? a.a[i].as<float>() : nullptr;
    float* velocity = a.b.size() > 0 ? a.b[i].as<float>() : nullptr;
    rmspropStep(a.w[i].as<float>(), a.g[i].as<float>(), a.v[i].as<float>(), mean, velocity, a.w[i].size(), s);
  }
}

}  // namespace secateur::SECATEUR_ISA
