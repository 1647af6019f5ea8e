// The key of a given rank among many, by one block: rounds of a histogram with 2,048 bins, each of which narrows the
// range that holds the rank; 31 bits take three. Keys are counted, never moved, so neither their order nor the order of
// the threads matters.
#pragma once
#include "gpu/reduce.cuh"
#include "gpu/rows.h"

namespace secateur::cuda {

constexpr unsigned highestKey = 0x7fffffffu;
constexpr unsigned noKey = 0xffffffffu;
constexpr unsigned binCount = 2048;

// Magnitudes in the order of their bits without the sign: numeric, NaN highest.
SECATEUR_GPU unsigned keyOf(float w) { return __float_as_uint(w) & highestKey; }

struct Least {
  SECATEUR_GPU unsigned operator()(unsigned a, unsigned b) const { return a < b ? a : b; }
};

struct SelectShared {
  unsigned bins[binCount];
  unsigned warps[chunkThreads / 32];
  unsigned bin, skipped, equal;
};

struct RankedKey {
  unsigned key;     // of the wanted rank
  unsigned next;    // of the rank after it; noKey: there is none
  unsigned before;  // how many keys are smaller
};

// How far keys of [low, high] are shifted right to become bins.
SECATEUR_GPU unsigned binShift(unsigned low, unsigned high) {
  const unsigned bits = 32 - __clz(high - low);
  return bits > 11 ? bits - 11 : 0;
}

// The bin that holds 0-based rank `rank`, counted through the bins in shared memory. Leaves bin, skipped (keys in bins
// before it) and equal (keys in it) in shared memory. Every thread has eight bins.
SECATEUR_GPU void findBin(SelectShared& s, unsigned rank) {
  constexpr unsigned each = binCount / chunkThreads;
  const unsigned first = threadIdx.x * each;
  unsigned mine = 0;
#pragma unroll
  for (unsigned j = 0; j < each; j++) mine += s.bins[first + j];
  unsigned upTo = mine;
#pragma unroll
  for (int offset = 1; offset < 32; offset <<= 1) {
    const unsigned other = __shfl_up_sync(allLanes, upTo, offset);
    if ((threadIdx.x & 31) >= offset) upTo += other;
  }
  if ((threadIdx.x & 31) == 31) s.warps[threadIdx.x >> 5] = upTo;
  __syncthreads();
#pragma unroll 1
  for (unsigned warp = 0; warp < threadIdx.x >> 5; warp++) upTo += s.warps[warp];
  unsigned skipped = upTo - mine;
  if (rank >= skipped && rank < upTo) {
    unsigned bin = first;
#pragma unroll 1
    for (; rank >= skipped + s.bins[bin]; bin++) skipped += s.bins[bin];
    s.bin = bin;
    s.skipped = skipped;
    s.equal = s.bins[bin];
  }
  __syncthreads();
}

SECATEUR_GPU void clearBins(SelectShared& s) {
#pragma unroll
  for (unsigned b = threadIdx.x; b < binCount; b += chunkThreads) s.bins[b] = 0;
  __syncthreads();
}

// The key of 0-based rank `rank` among those of `keys` (a sign is ignored) that lie in [low, high], to which `pivots`
// copies of `pivot` count too: they need not be stored.
SECATEUR_GPU RankedKey selectKey(SelectShared& s, const unsigned* keys, std::int64_t count, unsigned pivot,
                                 unsigned pivots, unsigned low, unsigned high, unsigned rank) {
  unsigned before = 0, equal = 0;
#pragma unroll 1
  do {
    const unsigned shift = binShift(low, high);
    clearBins(s);
#pragma unroll 4
    for (std::int64_t i = threadIdx.x; i < count; i += chunkThreads) {
      const unsigned key = keys[i] & highestKey;
      if (key - low <= high - low) atomicAdd(&s.bins[(key - low) >> shift], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0 && pivots > 0 && pivot - low <= high - low) s.bins[(pivot - low) >> shift] += pivots;
    __syncthreads();
    findBin(s, rank - before);
    before += s.skipped;
    equal = s.equal;
    low += s.bin << shift;
    high = min(high, low + ((1u << shift) - 1));
    __syncthreads();
  } while (low < high);
  unsigned next = low;
  if (rank + 1 >= before + equal) {
    next = pivots > 0 && pivot > low ? pivot : noKey;
#pragma unroll 4
    for (std::int64_t i = threadIdx.x; i < count; i += chunkThreads) {
      const unsigned key = keys[i] & highestKey;
      if (key > low && key < next) next = key;
    }
    next = blockReduce(next, Least(), noKey, s.warps);
  }
  return {low, next, before};
}

}  // namespace secateur::cuda
