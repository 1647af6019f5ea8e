#pragma once
#include <cstdint>

namespace secateur::cuda {

struct ReluParams {
  const void* x;
  void* y;
  std::int64_t n;
};

struct ReluGradParams {
  const void* y;
  const void* g;
  void* dx;
  std::int64_t n;
};

}  // namespace secateur::cuda
