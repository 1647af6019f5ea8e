#pragma once
#include <cstdint>

namespace secateur::cuda {

struct TopkParams {
  const void* x;
  void* values;
  std::int32_t* indices;
  std::int64_t fibres;
  std::int64_t extent;  // entries of a fibre
  std::int64_t inner;   // from one to the next
  std::int64_t k;
  int room;  // keys kept at a time: a power of two
  bool largest;
};

}  // namespace secateur::cuda
