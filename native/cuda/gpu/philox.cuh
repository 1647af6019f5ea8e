// The counter-based generator: Philox4x32-10 (Salmon et al., SC 2011, "Parallel random numbers: as easy as 1, 2, 3").
// Word i of a stream depends on (seed, i) alone, as lib/core/random.ts defines it.
#pragma once
#include "gpu/element.cuh"

namespace secateur::cuda {

// Four words a block.
struct Words {
  std::uint32_t at[4];
};

SECATEUR_GPU Words philoxBlock(std::uint64_t seed, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block), c1 = static_cast<std::uint32_t>(block >> 32), c2 = 0, c3 = 0;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
#pragma unroll
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
  return {{c0, c1, c2, c3}};
}

// Calls visit(i, word) for the elements 0 <= i < n of this thread; element i gets word position + i. A thread makes
// whole blocks of four words.
template <class Visit>
SECATEUR_GPU void withWords(const RandomRange& random, std::int64_t n, Visit visit) {
  const auto seed = static_cast<std::uint64_t>(std::int64_t{random.seed});
  const std::int64_t position = random.position;
  const std::int64_t first = position / 4;
  const std::int64_t blocks = (position + n + 3) / 4 - first;
  for (std::int64_t b = threadIndex(); b < blocks; b += threadTotal()) {
    const Words words = philoxBlock(seed, static_cast<std::uint64_t>(first + b));
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const std::int64_t i = (first + b) * 4 + k - position;
      if (i >= 0 && i < n) visit(i, words.at[k]);
    }
  }
}

// A word as a uniform number in [0, 1): its upper 24 bits, exact in float.
SECATEUR_GPU float uniformOf(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

}  // namespace secateur::cuda
