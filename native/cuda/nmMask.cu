// N:M masks along the last axis: in every run of M weights the N largest magnitudes are kept, softly or hard.
//
// A thread holds whole groups in registers. Magnitudes are compared as the bits of a float without its sign: numeric,
// NaN highest. The threshold needs the two order statistics around the cut, which a network of minima and maxima
// sorts out; what a pattern does not need of it is never computed. The hard mask ranks by comparing in pairs, so that
// of equal magnitudes the smaller index goes first.
//
// Bytes an element: soft weight 8 (6 to bf16), its gradient 12 (10), hard mask 8: the floor. No shared memory.
// M = 2, 4 and 8 take this way; other groups, and what is left at the end, are read again and again from the cache by a
// thread each.
#include "nmMask.h"

#include "gpu/element.cuh"
#include "gpu/pdp.cuh"
#include "gpu/select.cuh"

namespace secateur::cuda {

SECATEUR_GPU void order(unsigned& a, unsigned& b) {
  const unsigned least = min(a, b);
  b = max(a, b);
  a = least;
}

// Sorting networks (Batcher's odd-even merge sort).
SECATEUR_GPU void sortKeys(unsigned (&k)[2]) { order(k[0], k[1]); }
SECATEUR_GPU void sortKeys(unsigned (&k)[4]) {
  order(k[0], k[1]), order(k[2], k[3]);
  order(k[0], k[2]), order(k[1], k[3]);
  order(k[1], k[2]);
}
SECATEUR_GPU void sortKeys(unsigned (&k)[8]) {
  order(k[0], k[1]), order(k[2], k[3]), order(k[4], k[5]), order(k[6], k[7]);
  order(k[0], k[2]), order(k[1], k[3]), order(k[4], k[6]), order(k[5], k[7]);
  order(k[1], k[2]), order(k[5], k[6]);
  order(k[0], k[4]), order(k[1], k[5]), order(k[2], k[6]), order(k[3], k[7]);
  order(k[2], k[4]), order(k[3], k[5]);
  order(k[1], k[2]), order(k[3], k[4]), order(k[5], k[6]);
}

SECATEUR_GPU float meanOf(unsigned lower, unsigned upper) {
  return fmaf(0.5f, __uint_as_float(lower), __fmul_rn(0.5f, __uint_as_float(upper)));
}

// The threshold of a group in registers.
template <int m>
SECATEUR_GPU float thresholdOf(const float* group, int drop) {
  unsigned keys[m];
#pragma unroll
  for (int j = 0; j < m; j++) keys[j] = keyOf(group[j]);
  sortKeys(keys);
  unsigned lower = 0, upper = 0;
#pragma unroll
  for (int j = 1; j < m; j++) {
    if (drop == j) lower = keys[j - 1], upper = keys[j];
  }
  return meanOf(lower, upper);
}

// How many entries of a group go before entry j.
SECATEUR_GPU int rankOf(const float* group, int m, int j) {
  const unsigned key = keyOf(group[j]);
  int rank = 0;
  for (int i = 0; i < m; i++) {
    const unsigned other = keyOf(group[i]);
    rank += other < key || (other == key && i < j) ? 1 : 0;
  }
  return rank;
}

// The threshold of a group in memory.
SECATEUR_GPU float thresholdOf(const float* group, int m, int drop) {
  unsigned lower = 0, upper = 0;
  for (int j = 0; j < m; j++) {
    const int rank = rankOf(group, m, j);
    if (rank == drop - 1) lower = keyOf(group[j]);
    if (rank == drop) upper = keyOf(group[j]);
  }
  return meanOf(lower, upper);
}

// What is to be done with groups: in registers, all m entries at once, and in memory, by entry.
template <class In, class Out>
struct Soft {
  PdpMask mask;
  SECATEUR_GPU explicit Soft(const NmParams& p) : mask(0, p.tau) {}

  template <int m>
  SECATEUR_GPU void inRegisters(const float* w, const In*, Out* y, int drop) {
    mask.moveTo(thresholdOf<m>(w, drop));
#pragma unroll
    for (int j = 0; j < m; j++) y[j] = fromFloat<Out>(mask.product(w[j]));
  }
  SECATEUR_GPU void inMemory(const float* w, const In*, Out* y, int m, int drop) {
    mask.moveTo(thresholdOf(w, m, drop));
    for (int j = 0; j < m; j++) y[j] = fromFloat<Out>(mask.product(w[j]));
  }
};

template <class In, class Out>
struct SoftGrad {
  PdpMask mask;
  SECATEUR_GPU explicit SoftGrad(const NmParams& p) : mask(0, p.tau) {}

  template <int m>
  SECATEUR_GPU void inRegisters(const float* w, const In* g, Out* dw, int drop) {
    mask.moveTo(thresholdOf<m>(w, drop));
#pragma unroll
    for (int j = 0; j < m; j++) dw[j] = mask.gradient(w[j], toFloat(g[j]));
  }
  SECATEUR_GPU void inMemory(const float* w, const In* g, Out* dw, int m, int drop) {
    mask.moveTo(thresholdOf(w, m, drop));
    for (int j = 0; j < m; j++) dw[j] = mask.gradient(w[j], toFloat(g[j]));
  }
};

template <class In, class Out>
struct Hard {
  SECATEUR_GPU explicit Hard(const NmParams&) {}

  template <int m>
  SECATEUR_GPU void inRegisters(const float* w, const In*, Out* y, int drop) {
#pragma unroll
    for (int j = 0; j < m; j++) {
      const unsigned key = keyOf(w[j]);
      int rank = 0;
#pragma unroll
      for (int i = 0; i < m; i++) {
        if (i != j) rank += i < j ? keyOf(w[i]) <= key : keyOf(w[i]) < key;
      }
      y[j] = rank < drop ? 0.0f : 1.0f;
    }
  }
  SECATEUR_GPU void inMemory(const float* w, const In*, Out* y, int m, int drop) {
    for (int j = 0; j < m; j++) y[j] = rankOf(w, m, j) < drop ? 0.0f : 1.0f;
  }
};

// Groups of m in registers, as far as accesses of 16 bytes go; gives how many numbers that were.
template <int m, class In, class Out, class Work>
SECATEUR_GPU std::int64_t packedGroups(const NmParams& p, Work& work) {
  constexpr int perOut = perPack<Out>, perIn = perPack<In>;
  constexpr int widest = perOut > perIn ? perOut : perIn;
  constexpr int pack = m > widest ? m : widest;
  const auto* g = static_cast<const In*>(p.g);
  auto* y = static_cast<Out*>(p.y);
  if (!aligned(16, p.w, g, y)) return 0;
  const std::int64_t packed = p.n / pack * pack;
  for (std::int64_t i = threadIndex() * pack; i < packed; i += threadTotal() * pack) {
    const auto w = loadPack<float, pack>(p.w + i);
    Pack<In, pack> gradient;
    if (g != nullptr) gradient = loadPack<In, pack>(g + i);
    Pack<Out, pack> out;
#pragma unroll
    for (int j = 0; j < pack; j += m) work.template inRegisters<m>(w.at + j, gradient.at + j, out.at + j, p.drop);
    storePack(y + i, out);
  }
  return packed;
}

template <class Work, class In, class Out>
SECATEUR_GPU void overGroups(const NmParams& p) {
  Work work(p);
  const std::int64_t done = p.m == 4   ? packedGroups<4, In, Out>(p, work)
                            : p.m == 8 ? packedGroups<8, In, Out>(p, work)
                            : p.m == 2 ? packedGroups<2, In, Out>(p, work)
                                       : 0;
  const auto* g = static_cast<const In*>(p.g);
  auto* y = static_cast<Out*>(p.y);
  for (std::int64_t i = done + threadIndex() * p.m; i < p.n; i += threadTotal() * p.m)
    work.inMemory(p.w + i, g + i, y + i, p.m, p.drop);
}

template <class Out>
SECATEUR_GPU void nmSoftWeight(const NmParams& p) {
  if (p.drop > 0) return overGroups<Soft<float, Out>, float, Out>(p);
  mapElements<perPack<Out>>(
      p.n, static_cast<Out*>(p.y), [](float w) { return w; }, p.w);
}

template <class Grad>
SECATEUR_GPU void nmSoftWeightGrad(const NmParams& p) {
  if (p.drop > 0) return overGroups<SoftGrad<Grad, float>, Grad, float>(p);
  mapElements<perPack<Grad>>(
      p.n, static_cast<float*>(p.y), [](float g) { return g; }, static_cast<const Grad*>(p.g));
}

extern "C" {
__global__ void __launch_bounds__(256) nmSoftWeight_f32(const __grid_constant__ NmParams p) { nmSoftWeight<float>(p); }
__global__ void __launch_bounds__(256) nmSoftWeight_bf16(const __grid_constant__ NmParams p) { nmSoftWeight<bf16>(p); }
__global__ void __launch_bounds__(256) nmSoftWeightGrad_f32(const __grid_constant__ NmParams p) {
  nmSoftWeightGrad<float>(p);
}
__global__ void __launch_bounds__(256) nmSoftWeightGrad_bf16(const __grid_constant__ NmParams p) {
  nmSoftWeightGrad<bf16>(p);
}
__global__ void __launch_bounds__(256) nmHardMask(const __grid_constant__ NmParams p) {
  overGroups<Hard<float, float>, float, float>(p);
}
}

}  // namespace secateur::cuda
