// Adam and AdamW over a list of ranges, each with its own step number.
#include "ops/adam.h"

#include "cpu/multiTensorOptim.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

KERNEL(adam, F32)(const AdamArgs& a) {
  for (std::size_t i = 0; i < a.w.size(); i++) {
    adamStep(a.w[i].as<float>(), a.g[i].as<float>(), a.m[i].as<float>(), a.v[i].as<float>(), a.w[i].size(),
             adamSettings(a, i));
  }
}

}  // namespace secateur::SECATEUR_ISA
