#pragma once
// N:M masks: in every run of M contiguous weights the N largest magnitudes are kept. n is a multiple of M, 0 < N <= M.
//
// Soft: t_g = (a_(M-N) + a_(M-N+1)) / 2 of the group g, then the PDP mask of pdpMask.h with that threshold.
// Ranks come from comparing the M keys of a group in pairs: the rank of an entry is how many others come before it
// (smaller, or equal at a smaller index). That is branchless, exact for ties and NaN (highest), and for M = 2, 4
// and 8 it stays within a register; other sizes are ranked many groups at a time, one lane a group.
#include "pdpMask.h"

namespace secateur::SECATEUR_ISA {

// Groups are handled this many at a time, transposed so that one lane is one group.
constexpr int kGroups = 64;

// ranks of the kGroups groups whose keys are keys[j][lane]
inline void rankGroups(const std::uint32_t (*keys)[kGroups], std::int32_t (*ranks)[kGroups], int size) {
  for (int j = 0; j < size; ++j) {
#pragma omp simd
    for (int lane = 0; lane < kGroups; ++lane) ranks[j][lane] = 0;
  }
  for (int j = 1; j < size; ++j) {
    for (int i = 0; i < j; ++i) {
#pragma omp simd
      for (int lane = 0; lane < kGroups; ++lane) {
        const std::int32_t after = keys[i][lane] <= keys[j][lane] ? 1 : 0;
        ranks[j][lane] += after;
        ranks[i][lane] += 1 - after;
      }
    }
  }
}

// The largest supported M; larger groups would want a selection, not pairwise ranks.
constexpr int kMaxGroupSize = 64;

// A block of groups, ranked.
struct NmBlock {
  static constexpr int kSize = kMaxGroupSize;
  std::uint32_t keys[kSize][kGroups];
  std::int32_t ranks[kSize][kGroups];
  float t[kGroups];

  // Reads `groups` groups at w and ranks them; lanes beyond are zero.
  inline void read(const float* w, int groups, int size) {
    for (int j = 0; j < size; ++j) {
      for (int lane = 0; lane < groups; ++lane) keys[j][lane] = bitsOf(w[lane * size + j]) & 0x7fffffffu;
      for (int lane = groups; lane < kGroups; ++lane) keys[j][lane] = 0;
    }
    rankGroups(keys, ranks, size);
  }

  // t per group, from the entries of ranks drop - 1 and drop.
  inline void thresholds(int drop, int size) {
    std::uint32_t lower[kGroups] = {};
    std::uint32_t upper[kGroups] = {};
    for (int j = 0; j < size; ++j) {
#pragma omp simd
      for (int lane = 0; lane < kGroups; ++lane) {
        lower[lane] |= ranks[j][lane] == drop - 1 ? keys[j][lane] : 0u;
        upper[lane] |= ranks[j][lane] == drop ? keys[j][lane] : 0u;
      }
    }
#pragma omp simd
    for (int lane = 0; lane < kGroups; ++lane) {
      t[lane] = static_cast<float>(0.5 * static_cast<double>(floatOf(lower[lane])) +
                                   0.5 * static_cast<double>(floatOf(upper[lane])));
    }
  }

  // The thresholds spread to one per weight, in the order of the weights.
  inline void spread(float* perWeight, int size) const {
    for (int lane = 0; lane < kGroups; ++lane) {
      for (int j = 0; j < size; ++j) perWeight[lane * size + j] = t[lane] > kLargest ? kLargest : t[lane];
    }
  }
};

SECATEUR_INLINE PdpConstants withThreshold(PdpConstants c, Vec t) {
  c.t = t;
  c.halfT = t * splat(0.5f);
  return c;
}

// Calls visit(offset, thresholds, count) for every block of groups; count weights from offset on, one threshold each.
template <typename Visit>
inline void forNmBlocks(const float* w, std::int64_t n, int keep, int m, Visit visit) {
  const std::int64_t block = std::int64_t{kGroups} * m;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const int count = static_cast<int>(n - begin < block ? n - begin : block);
    NmBlock groups;
    groups.read(w + begin, count / m, m);
    groups.thresholds(m - keep, m);
    alignas(64) float perWeight[NmBlock::kSize * kGroups];
    groups.spread(perWeight, m);
    visit(begin, perWeight, count);
  }
}

// Groups of 2, 4 or 8 never leave the register: entry l of a group meets the others as entries l ^ x.
typedef std::int32_t Keys __attribute__((vector_size(kLanes * 4)));

SECATEUR_INLINE Keys laneNumbers() {
  Keys lanes;
  for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = lane;
  return lanes;
}
SECATEUR_INLINE Keys keysOf(Vec w) { return __builtin_bit_cast(Keys, absOf(w)); }

template <int M>
SECATEUR_INLINE Keys ranksInRegister(Keys keys) {
  const Keys lanes = laneNumbers();
  Keys ranks = {};
#pragma GCC unroll 8
  for (int x = 1; x < M; ++x) {
    const Keys other = __builtin_shuffle(keys, lanes ^ x);
    ranks -= (other < keys) | ((other == keys) & ((lanes ^ x) < lanes));
  }
  return ranks;
}

// The key of the given rank, in every lane of its group.
template <int M>
SECATEUR_INLINE Vec ofRank(Keys keys, Keys ranks, int rank) {
  const Keys lanes = laneNumbers();
  Keys found = keys & (ranks == rank);
#pragma GCC unroll 4
  for (int x = 1; x < M; x *= 2) found |= __builtin_shuffle(found, lanes ^ x);
  return __builtin_bit_cast(Vec, found);
}

template <int M>
SECATEUR_INLINE Vec thresholdInRegister(Vec w, int drop) {
  const Keys keys = keysOf(w);
  const Keys ranks = ranksInRegister<M>(keys);
  const Vec half = splat(0.5f);
  return atMost(splat(kLargest), ofRank<M>(keys, ranks, drop - 1) * half + ofRank<M>(keys, ranks, drop) * half);
}

template <int M, typename Visit>
inline void forNmRegisters(const float* w, std::int64_t n, int keep, Visit visit) {
  constexpr int kBlock = 1024;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const int count = static_cast<int>(n - begin < kBlock ? n - begin : kBlock);
    alignas(64) float t[kBlock];
    for (int i = 0; i < count; i += kLanes) {
      const Vec v = count - i >= kLanes ? load(w + begin + i) : loadPart(w + begin + i, count - i);
      put(t + i, thresholdInRegister<M>(v, M - keep));
    }
    visit(begin, t, count);
  }
}

// Calls visit by the fastest way for M.
template <typename Visit>
inline void forNm(const float* w, std::int64_t n, int keep, int m, Visit visit) {
  if (m == 4) return forNmRegisters<4>(w, n, keep, visit);
  if (m == 8) return forNmRegisters<8>(w, n, keep, visit);
  if (m == 2) return forNmRegisters<2>(w, n, keep, visit);
  forNmBlocks(w, n, keep, m, visit);
}

// out = m * w as float or bf16, M <= kMaxGroupSize. N = M keeps everything: a copy, bit for bit.
template <typename Out>
inline void nmMask(const float* w, Out* out, std::int64_t n, int keep, int m, float tau) {
  if (keep == m) return pdpCopy(w, out, n);
  forNm(w, n, keep, m, [=](std::int64_t begin, const float* t, int count) {
    const PdpConstants constants = pdpConstants(0.0f, tau);
    for (int i = 0; i < count; i += kLanes) {
      const PdpConstants c = withThreshold(constants, load(t + i));
      const int part = count - i;
      if (part >= kLanes) {
        put(out + begin + i, pdpProduct(load(w + begin + i), c));
      } else {
        putPart(out + begin + i, pdpProduct(loadPart(w + begin + i, part), c), part);
      }
    }
  });
}

// dw = g * (m + 2 w^2 / tau * m (1 - m)) with the thresholds held constant; g as float or bf16.
template <typename Grad>
inline void nmMaskGrad(const float* w, const Grad* g, float* dw, std::int64_t n, int keep, int m, float tau) {
  if (keep == m) return pdpCopy(g, dw, n);
  forNm(w, n, keep, m, [=](std::int64_t begin, const float* t, int count) {
    const PdpConstants constants = pdpConstants(0.0f, tau);
    for (int i = 0; i < count; i += kLanes) {
      const PdpConstants c = withThreshold(constants, load(t + i));
      const int part = count - i;
      if (part >= kLanes) {
        put(dw + begin + i, pdpGradient(load(w + begin + i), load(g + begin + i), c));
      } else {
        putPart(dw + begin + i, pdpGradient(loadPart(w + begin + i, part), loadPart(g + begin + i, part), c), part);
      }
    }
  });
}

// The M - N smallest of every group zeroed; of equal ones the smaller index goes first. The others keep their bits, or
// become ones: the mask itself. In place is allowed.
template <int M, bool kOnes>
inline void nmHardMaskRegisters(const float* w, float* out, std::int64_t n, int keep) {
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kLanes) {
    const int count = static_cast<int>(n - begin < kLanes ? n - begin : kLanes);
    const Vec v = count == kLanes ? load(w + begin) : loadPart(w + begin, count);
    const Keys kept = ranksInRegister<M>(keysOf(v)) >= M - keep;
    const Vec result = __builtin_bit_cast(Vec, __builtin_bit_cast(Keys, kOnes ? splat(1.0f) : v) & kept);
    if (count == kLanes) {
      put(out + begin, result);
    } else {
      putPart(out + begin, result, count);
    }
  }
}
template <bool kOnes = false>
inline void nmHardMask(const float* w, float* out, std::int64_t n, int keep, int m) {
  if (m == 4) return nmHardMaskRegisters<4, kOnes>(w, out, n, keep);
  if (m == 8) return nmHardMaskRegisters<8, kOnes>(w, out, n, keep);
  if (m == 2) return nmHardMaskRegisters<2, kOnes>(w, out, n, keep);
  const std::int64_t block = std::int64_t{kGroups} * m;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const int groups = static_cast<int>((n - begin < block ? n - begin : block) / m);
    NmBlock ranked;
    ranked.read(w + begin, groups, m);
    for (int lane = 0; lane < groups; ++lane) {
      for (int j = 0; j < m; ++j) {
        const std::int64_t i = begin + lane * m + j;
        out[i] = ranked.ranks[j][lane] < m - keep ? 0.0f : kOnes ? 1.0f : w[i];
      }
    }
  }
}

}  // namespace secateur::SECATEUR_ISA
