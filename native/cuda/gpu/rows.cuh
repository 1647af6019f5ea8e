// One launch over many tensors. The host uploads a row for each tensor; the work is cut into chunks of one size,
// counted through all tensors, and a row says at which chunk its tensor begins (`firstChunk`). That is the chunk table
// {tensor, offset, length} in 1 / 500 of the bytes: a block finds the row of a chunk with one load a thread.
#pragma once
#include "gpu/rows.h"

namespace secateur::cuda {

// The row to which a chunk belongs. All threads of the block take part; another barrier of the caller must lie between
// two calls with the same `shared`.
template <class Row>
SECATEUR_GPU int rowOf(const Row* rows, int count, std::int64_t chunk, unsigned* shared) {
  for (int r = threadIdx.x; r < count; r += blockDim.x) {
    if (rows[r].firstChunk <= chunk && (r + 1 == count || chunk < rows[r + 1].firstChunk)) *shared = r;
  }
  __syncthreads();
  return static_cast<int>(*shared);
}

}  // namespace secateur::cuda
