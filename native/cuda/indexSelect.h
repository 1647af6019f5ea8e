#pragma once
#include <cstdint>

#include "gpu/indices.h"

namespace secateur::cuda {

struct IndexSelectParams {
  const void* x;
  const std::int32_t* index;
  void* y;
  std::int64_t outer, count, inner;  // y is [outer, count, inner], x [outer, extent, inner]
  IndexCheck check;
};

struct ChainParams {
  const std::int32_t* index;
  std::int64_t count;
  std::int32_t* next;  // the next position with the same index, or -1
  std::int32_t* head;  // 1 where no earlier position has it
  IndexCheck check;
};

struct SumChainsParams {
  const void* g;
  const std::int32_t* index;
  const std::int32_t* next;
  const std::int32_t* head;
  void* dx;
  std::int64_t outer, count, inner, extent;
};

}  // namespace secateur::cuda
