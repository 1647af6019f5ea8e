#pragma once
// N:M masks: in every run of M contiguous weights the N largest magnitudes are kept. n is a multiple of M, 0 < N <= M.
//
// Soft: t_g = (a_(M-N) + a_(M-N+1)) / 2 of the group g, then the PDP mask of pdpMask.h with that threshold.
// Ranks come from comparing the M keys of a group in pairs: the rank of an entry is how many others come before it
// (smaller, or equal at a smaller index). That is branchless, exact for ties and NaN (highest), and for M = 4 and 8 it
// unrolls into vector code over many groups at once.
#include "pdpMask.h"

namespace secateur::SECATEUR_ISA {

// Groups are handled this many at a time, transposed so that one lane is one group.
constexpr int kGroups = 64;

// ranks of the kGroups groups whose keys are keys[j][lane]
template <int M>
inline void rankGroups(const std::uint32_t (*keys)[kGroups], std::int32_t (*ranks)[kGroups], int m) {
  const int size = M > 0 ? M : m;
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

// A block of groups, ranked. M = 0 takes the size at run time.
template <int M>
struct NmBlock {
  static constexpr int kSize = M > 0 ? M : kMaxGroupSize;
  std::uint32_t keys[kSize][kGroups];
  std::int32_t ranks[kSize][kGroups];
  float t[kGroups];

  // Reads `groups` groups at w and ranks them; lanes beyond are zero.
  inline void read(const float* w, int groups, int m) {
    const int size = M > 0 ? M : m;
    for (int j = 0; j < size; ++j) {
      for (int lane = 0; lane < groups; ++lane) keys[j][lane] = bitsOf(w[lane * size + j]) & 0x7fffffffu;
      for (int lane = groups; lane < kGroups; ++lane) keys[j][lane] = 0;
    }
    rankGroups<M>(keys, ranks, m);
  }

  // t per group, from the entries of ranks drop - 1 and drop.
  inline void thresholds(int drop, int m) {
    const int size = M > 0 ? M : m;
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
  inline void spread(float* perWeight, int m) const {
    const int size = M > 0 ? M : m;
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
template <int M, typename Visit>
inline void forNmBlocks(const float* w, std::int64_t n, int keep, int m, Visit visit) {
  const std::int64_t block = std::int64_t{kGroups} * m;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const int count = static_cast<int>(n - begin < block ? n - begin : block);
    NmBlock<M> groups;
    groups.read(w + begin, count / m, m);
    groups.thresholds(m - keep, m);
    alignas(64) float perWeight[NmBlock<M>::kSize * kGroups];
    groups.spread(perWeight, m);
    visit(begin, perWeight, count);
  }
}

// The same with M a constant for the usual sizes.
template <typename Visit>
inline void forNm(const float* w, std::int64_t n, int keep, int m, Visit visit) {
  if (m == 4) {
    forNmBlocks<4>(w, n, keep, 4, visit);
  } else if (m == 8) {
    forNmBlocks<8>(w, n, keep, 8, visit);
  } else {
    forNmBlocks<0>(w, n, keep, m, visit);
  }
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

// The weights with the M - N smallest of every group zeroed; of equal ones the smaller index goes first. The others
// keep their bits. In place is allowed.
template <int M>
inline void nmHardMaskSized(const float* w, float* out, std::int64_t n, int keep, int m) {
  const std::int64_t block = std::int64_t{kGroups} * m;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += block) {
    const int size = M > 0 ? M : m;
    const int groups = static_cast<int>((n - begin < block ? n - begin : block) / size);
    NmBlock<M> ranked;
    ranked.read(w + begin, groups, m);
    for (int lane = 0; lane < groups; ++lane) {
      for (int j = 0; j < size; ++j) {
        const std::int64_t i = begin + lane * size + j;
        out[i] = ranked.ranks[j][lane] < size - keep ? 0.0f : w[i];
      }
    }
  }
}
inline void nmHardMask(const float* w, float* out, std::int64_t n, int keep, int m) {
  if (m == 4) return nmHardMaskSized<4>(w, out, n, keep, 4);
  if (m == 8) return nmHardMaskSized<8>(w, out, n, keep, 8);
  nmHardMaskSized<0>(w, out, n, keep, m);
}

}  // namespace secateur::SECATEUR_ISA
