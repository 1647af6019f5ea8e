// Stochastic gradient descent over a list of ranges.
#include "ops/sgd.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// Velocities start at zero, which makes the first one the gradient itself.
KERNEL(sgd, F32)(const SgdArgs& a) {
  SgdSettings s{};
  s.lr = static_cast<float>(a.lr);
  s.momentum = a.v.size() > 0 ? static_cast<float>(a.momentum) : 0.0f;
  s.weightDecay = static_cast<float>(a.weightDecay);
  s.nesterov = a.nesterov;
  for (std::size_t i = 0; i < a.w.size(); i++) {
    float* v = a.v.size() > 0 ? a.v[i].as<float>() : nullptr;
    sgdStep(a.w[i].as<float>(), a.g[i].as<float>(), v, a.w[i].size(), s);
  }
}

}  // namespace secateur::SECATEUR_ISA
