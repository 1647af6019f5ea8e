// Work that blocks of one launch hand to each other. Blocks take tickets, numbers counted up by an atomic, so that
// whoever holds one knows that all lower ones are held by blocks that run: it may wait for those. Every function
// here is called by all threads of a block.
#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// Publishes what this block has written and counts it in. True in the block that makes the count `total`: it sees what
// all of them wrote.
SECATEUR_GPU bool arriveLast(unsigned* counter, unsigned total, unsigned* shared) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    *shared = atomicAdd(counter, 1u) + 1 == total ? 1u : 0u;
    __threadfence();
  }
  __syncthreads();
  return *shared != 0;
}

// Publishes what this block has written, then sets the flag.
SECATEUR_GPU void publish(unsigned* flag, unsigned value) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicExch(flag, value);
  }
}

// Waits until the flag has reached `value`; what was published with it can be seen then.
SECATEUR_GPU void waitFor(const unsigned* flag, unsigned value) {
  if (threadIdx.x == 0) {
    while (*static_cast<const volatile unsigned*>(flag) < value) __nanosleep(64);
    __threadfence();
  }
  __syncthreads();
}

}  // namespace secateur::cuda
