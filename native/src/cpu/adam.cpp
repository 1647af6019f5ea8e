// Adam and AdamW over a list of ranges, each with its own step number.
#include "ops/adam.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(adam, F32)(const AdamArgs& a) {
  AdamSettings s{a.lr, a.beta1, a.beta2, a.eps, a.weightDecay, 0, a.decoupled};
  for (std::size_t i = 0; i < a.w.size(); i++) {
    s.step = a.step[i];
    adamStep(a.w[i].as<float>(), a.g[i].as<float>(), a.m[i].as<float>(), a.v[i].as<float>(), a.w[i].size(), s);
  }
}

}  // namespace secateur::SECATEUR_ISA
