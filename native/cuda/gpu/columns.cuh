// Work down the columns of a matrix whose rows are images' places and whose columns are channels. A block has a tile: a
// chunk of rows, and 128 bytes of neighbouring channels. Each thread keeps to its channels, so that what belongs to a
// channel stays in registers.
#pragma once
#include "gpu/columns.h"
#include "gpu/packs.cuh"
#include "gpu/reduce.cuh"

namespace secateur::cuda {

// N: channels a thread.
template <int N>
struct Tile {
  static constexpr int across = N > 1 ? tilePacks : tileLanes;
  static constexpr int down = static_cast<int>(tileThreads) / across;
  static constexpr int channels = across * N;

  const Columns& m;
  std::int64_t chunk, begin, end;  // rows
  std::int64_t first;              // channel of the tile
  std::int64_t own;                // first channel of this thread

  // The last chunks first, or the first: what one pass has read last is what the next finds in the cache.
  SECATEUR_GPU Tile(const Columns& matrix, bool backwards) : m(matrix) {
    chunk = backwards ? m.chunks - 1 - blockIdx.x : blockIdx.x;
    begin = chunk * m.chunk;
    end = min(begin + m.chunk, m.rows);
    first = static_cast<std::int64_t>(blockIdx.y) * channels;
    own = first + threadIdx.x % across * N;
  }
  SECATEUR_GPU bool inside() const { return own < m.channels; }

  // Calls visit(i) for the rows of this thread; i is where its channels lie.
  template <class Visit>
  SECATEUR_GPU void each(Visit visit) const {
    if (!inside()) return;
#pragma unroll 4
    for (std::int64_t r = begin + threadIdx.x / across; r < end; r += down) visit(r * m.channels + own);
  }

  // Sums over the rows of the block: thread t gets that of channel first + t. `shared`: channels floats a warp.
  SECATEUR_GPU float sum(float (&x)[N], float* shared) const {
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#pragma unroll
    for (int offset = 16; offset >= across; offset >>= 1) {
#pragma unroll
      for (int j = 0; j < N; j++) x[j] += __shfl_xor_sync(allLanes, x[j], offset);
    }
    if (lane < across) {
#pragma unroll
      for (int j = 0; j < N; j++) shared[warp * channels + lane * N + j] = x[j];
    }
    __syncthreads();
    float sum = 0;
    if (threadIdx.x < channels) {
#pragma unroll
      for (int w = 0; w < static_cast<int>(tileThreads) / 32; w++) sum += shared[w * channels + threadIdx.x];
    }
    __syncthreads();
    return sum;
  }
  // Whether this thread has the sum of a channel.
  SECATEUR_GPU bool owner() const { return threadIdx.x < channels && first + threadIdx.x < m.channels; }
};

// The channel of this thread in a block of partThreads.
SECATEUR_GPU std::int64_t partChannel() {
  return static_cast<std::int64_t>(blockIdx.x) * partChannels + threadIdx.x % partChannels;
}

// The sum of term(part) over parts, for each channel; every thread gets its channel's. `shared` has partThreads floats.
template <class Term>
SECATEUR_GPU float sumParts(std::int64_t parts, float* shared, Term term) {
  constexpr int slices = partThreads / partChannels;
  float sum = 0;
#pragma unroll 4
  for (std::int64_t part = threadIdx.x / partChannels; part < parts; part += slices) sum += term(part);
  shared[threadIdx.x] = sum;
  __syncthreads();
  sum = 0;
#pragma unroll
  for (int s = 0; s < slices; s++) sum += shared[s * partChannels + threadIdx.x % partChannels];
  __syncthreads();
  return sum;
}

}  // namespace secateur::cuda
