// The best entries along an axis. Every entry becomes one 64-bit key, order of the value above and complement of the
// place below, so that one comparison settles order, NaN and ties; larger is better.
//
// topk: a block has a fibre. It keeps the best `room` (at most 1,024) keys sorted in shared memory; each further tile
// of as many keys is sorted together with them, unless none of it is good enough. If more than `room` are wanted, the
// fibre is gone through again for those below the last one. argmax is a reduction; each reads its input once.
#include "topk.h"

#include "gpu/reduction.cuh"

namespace secateur::cuda {

constexpr int mostRoom = 1024;
constexpr unsigned topkThreads = 256;

// Larger for larger values; -0 and 0 alike, every NaN on top. Never 0.
SECATEUR_GPU unsigned orderOf(float x) {
  const unsigned bits = __float_as_uint(__fadd_rn(x, 0.0f));
  const unsigned order = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return x != x ? 0xffffffffu : order;
}

using Key = unsigned long long;

template <class T>
SECATEUR_GPU Key keyAt(const TopkParams& p, const T* x, std::int64_t i) {
  const unsigned order = orderOf(toFloat(x[i * p.inner]));
  return static_cast<Key>(p.largest ? order : ~order) << 32 | static_cast<unsigned>(~i);
}

// Sorts `size` keys, a power of two, best first (Batcher's bitonic sort).
SECATEUR_GPU void sortKeys(Key* keys, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int apart = run / 2; apart > 0; apart /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < size / 2; pair += topkThreads) {
        const int i = 2 * pair - (pair & (apart - 1));
        const Key a = keys[i], b = keys[i + apart];
        const bool descending = (i & run) == 0;
        if ((a < b) == descending) {
          keys[i] = b;
          keys[i + apart] = a;
        }
      }
    }
  }
  __syncthreads();
}

// The best `room` keys of a fibre below `bound`, sorted, to the front of `keys`; 0 where there are no more.
template <class T>
SECATEUR_GPU void bestBelow(const TopkParams& p, const T* x, Key bound, Key* keys, unsigned* shared) {
  for (std::int64_t begin = 0; begin < p.extent; begin += p.room) {
    Key* tile = begin == 0 ? keys : keys + p.room;
    const Key worst = begin == 0 ? 0 : keys[p.room - 1];
    unsigned better = 0;
    for (int i = threadIdx.x; i < p.room; i += topkThreads) {
      Key key = begin + i < p.extent ? keyAt(p, x, begin + i) : 0;
      if (key >= bound) key = 0;
      better += key > worst ? 1 : 0;
      tile[i] = key;
    }
    if (blockReduce(better, Add(), 0u, shared) != 0) sortKeys(keys, begin == 0 ? p.room : 2 * p.room);
  }
}

template <class T>
SECATEUR_GPU void topk(const TopkParams& p) {
  __shared__ Key keys[2 * mostRoom];
  __shared__ unsigned shared[topkThreads / 32];
  auto* values = static_cast<T*>(p.values);
  for (std::int64_t f = blockIdx.x; f < p.fibres; f += gridDim.x) {
    const std::int64_t outer = f / p.inner, column = f - outer * p.inner;
    const T* x = static_cast<const T*>(p.x) + outer * p.extent * p.inner + column;
    Key bound = ~Key{0};
    for (std::int64_t begin = 0; begin < p.k; begin += p.room) {
      bestBelow(p, x, bound, keys, shared);
      for (int i = threadIdx.x; i < p.room && begin + i < p.k; i += topkThreads) {
        const std::int64_t from = ~static_cast<unsigned>(keys[i]);
        const std::int64_t to = (outer * p.k + begin + i) * p.inner + column;
        values[to] = x[from * p.inner];
        p.indices[to] = static_cast<std::int32_t>(from);
      }
      bound = keys[p.room - 1];
      __syncthreads();
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(topkThreads) topk_f32(const __grid_constant__ TopkParams p) { topk<float>(p); }
__global__ void __launch_bounds__(topkThreads) topk_bf16(const __grid_constant__ TopkParams p) { topk<bf16>(p); }
}

struct Place {
  unsigned order;
  std::int32_t at;
};

// The first of the largest.
template <class T>
struct Best {
  using State = Place;
  static SECATEUR_GPU State zero(const ReductionParams&) { return {0, 0x7fffffff}; }
  static SECATEUR_GPU State merge(const State& a, const State& b) {
    return a.order > b.order || (a.order == b.order && a.at < b.at) ? a : b;
  }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t r, const ReductionParams&) {
    s = merge(s, State{orderOf(toFloat(x)), static_cast<std::int32_t>(r)});
  }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, const State& s) {
    static_cast<std::int32_t*>(p.y)[i] = s.at;
  }
};
SECATEUR_REDUCTION(argmax, f32, Best<float>, float)
SECATEUR_REDUCTION(argmax, bf16, Best<bf16>, bf16)

}  // namespace secateur::cuda
