// Stochastic gradient descent over a list of ranges.
#include "ops/sgd.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(sgd, F32)(const SgdArgs& a) {
  const SgdSettings s = sgdSettings(a);
  for (std::size_t i = 0; i < a.w.size(); i++) {
    float* v = a.v.size() > 0 ? a.v[i].as<float>() : nullptr;
    sgdStep(a.w[i].as<float>(), a.g[i].as<float>(), v, a.w[i].size(), s);
  }
}

}  // namespace secateur::SECATEUR_ISA
