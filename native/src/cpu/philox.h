// The counter-based generator: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").
// Word i of a stream depends on (seed, i) alone, as lib/core/random.ts defines it.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// Four words a block.
SECATEUR_INLINE void philoxBlock(std::uint64_t seed, std::uint64_t block, std::uint32_t* words) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32), c2 = 0, c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; round++) {
    const std::uint64_t p0 = std::uint64_t{0xd2511f53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

// Words are made this many at a time, on the stack. Even, so that no pair of normal numbers is cut.
constexpr std::int64_t philoxRun = 1024;

// Calls f(words, begin, end) for stretches that cover [0, n): words[i - begin] is word `position + i` of the stream.
template <class F>
SECATEUR_INLINE void withWords(const Random& random, std::int64_t n, const F& f) {
  parallelFor(n, parallelGrain, [&](std::int64_t from, std::int64_t to) {
    std::uint32_t words[philoxRun + 8];
    for (std::int64_t begin = from; begin < to; begin += philoxRun) {
      const std::int64_t end = begin + philoxRun < to ? begin + philoxRun : to;
      const std::uint64_t first = random.position + static_cast<std::uint64_t>(begin);
      const std::uint64_t block = first / 4;
      const std::int64_t skip = static_cast<std::int64_t>(first % 4);
      const std::int64_t blocks = (skip + end - begin + 3) / 4;
#pragma omp simd
      for (std::int64_t b = 0; b < blocks; b++) {
        philoxBlock(random.seed, block + static_cast<std::uint64_t>(b), words + 4 * b);
      }
      f(static_cast<const std::uint32_t*>(words + skip), begin, end);
    }
  });
}

// A word as a uniform number in [0, 1): its upper 24 bits, exact in float.
SECATEUR_INLINE float uniformOf(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8)) * 0x1p-24f;
}

// cos and sin of 2 pi u, for 0 <= u < 1. The nearest quarter turn is split off exactly; the rest, at most an eighth of
// a turn, goes through Taylor's series, whose first term left out is below 2e-9.
struct Direction {
  float cosine, sine;
};
SECATEUR_INLINE Direction directionOf(float u) {
  const std::int32_t quarter = static_cast<std::int32_t>(fma(u, 4.0f, 0.5f));
  const float t = fma(u, 4.0f, -static_cast<float>(quarter)) * 0x1.921fb6p+0f;
  const float z = t * t;
  float s = 0x1.71de3ap-19f;  // 1/9!, -1/7!, 1/5!, -1/3!
  s = fma(s, z, -0x1.a01a02p-13f);
  s = fma(s, z, 0x1.111112p-7f);
  s = fma(s, z, -0x1.555556p-3f);
  s = fma(s * z, t, t);
  float c = -0x1.27e4fcp-22f;  // -1/10!, 1/8!, -1/6!, 1/4!, -1/2
  c = fma(c, z, 0x1.a01a02p-16f);
  c = fma(c, z, -0x1.6c16c2p-10f);
  c = fma(c, z, 0x1.555556p-5f);
  c = fma(c, z, -0.5f);
  c = fma(c, z, 1.0f);
  const bool odd = (quarter & 1) != 0;
  const float x = odd ? s : c;
  const float y = odd ? c : s;
  return {((quarter + 1) & 2) != 0 ? -x : x, (quarter & 2) != 0 ? -y : y};
}

}  // namespace secateur::SECATEUR_ISA
