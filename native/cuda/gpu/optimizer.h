// One launch updates many tensors: a row each, and what the rule of an optimizer needs to know.
#pragma once
#include "gpu/rows.h"

namespace secateur::cuda {

constexpr int mostSlots = 3;

struct OptimizerRow {
  float* w;
  const void* g;
  float* slots[mostSlots];
  std::int64_t n;
  std::int64_t firstChunk;
  // Adam: -lr / (1 - beta1^step) and 1 / sqrt(1 - beta2^step); each tensor has its own step number.
  float minusRate, inverseRoot;
};

struct SgdNumbers {
  Number lr, momentum, decay;
  bool nesterov;
};

struct AdamNumbers {
  Number beta1, fresh1, beta2, fresh2;  // fresh = 1 - beta
  Number eps;
  Number shrink;  // decoupled: 1 - lr weightDecay, else 1
  Number decay;
  bool decoupled;
};

struct RmspropNumbers {
  Number lr, alpha, fresh, eps, decay, momentum;
};

template <class Numbers>
struct OptimizerParams {
  const OptimizerRow* rows;
  int count;
  std::int64_t chunks;
  Numbers numbers;
};

}  // namespace secateur::cuda
