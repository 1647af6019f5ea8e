// Parameters of pointwise kernels.
#pragma once
#include <cstdint>

#include "gpu/strided.h"

namespace secateur::cuda {

struct UnaryParams {
  const void* x;
  void* y;
  std::int64_t n;
};

// dx = g f(saved)
struct SlopeParams {
  const void* saved;
  const void* g;
  void* dx;
  std::int64_t n;
};

struct BinaryParams {
  const void* a;
  const void* b;
  void* y;
  Strided index;
  bool same;  // all operands have the elements of y
};

struct TernaryParams {
  const void* a;
  const void* b;
  const void* c;
  void* y;
  Strided index;
  bool same;
};

}  // namespace secateur::cuda
