// Types of kernel parameters that the host and the device share: plain data.
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#define SECATEUR_GPU __device__ __forceinline__
#endif

namespace secateur::cuda {

// A number that changes from step to step. Launched one by one it travels by value; in a captured step it is read from
// a slot in device memory, so that replaying the step with another value needs no rebuild.
struct Number {
  const float* slot = nullptr;
  float value = 0;
#if defined(__CUDACC__)
  SECATEUR_GPU operator float() const { return slot == nullptr ? value : *slot; }
#endif
};

struct Whole {
  const std::int64_t* slot = nullptr;
  std::int64_t value = 0;
#if defined(__CUDACC__)
  SECATEUR_GPU operator std::int64_t() const { return slot == nullptr ? value : *slot; }
#endif
};

// The reserved range of the counter-based generator that an op draws from.
struct RandomRange {
  Whole seed;
  Whole position;
};

}  // namespace secateur::cuda
