// Tensors from nothing: random numbers, one-hot rows. (Constants are fills, ranges come from the host.)
#include "creation.h"

#include "gpu/philox.cuh"

namespace secateur::cuda {

// bf16 gets the upper 8 bits, which it holds exactly: rounding 24 could reach 1.
SECATEUR_GPU void put(float* y, std::uint32_t word) { *y = uniformOf(word); }
SECATEUR_GPU void put(bf16* y, std::uint32_t word) { *y = fromFloat<bf16>(static_cast<float>(word >> 24) * 0x1p-8f); }

template <class T>
SECATEUR_GPU void rand(const RandomParams& p) {
  auto* y = static_cast<T*>(p.y);
  withWords(p.random, p.n, [=](std::int64_t i, std::uint32_t word) { put(y + i, word); });
}

// Two words make two normal numbers (Box and Muller): element 2 p the cosine, element 2 p + 1 the sine.
template <class T>
SECATEUR_GPU void randn(const RandomParams& p) {
  auto* y = static_cast<T*>(p.y);
  const auto seed = static_cast<std::uint64_t>(std::int64_t{p.random.seed});
  const std::int64_t position = p.random.position;
  for (std::int64_t pair = threadIndex(); pair < (p.n + 1) / 2; pair += threadTotal()) {
    const std::int64_t word = position + 2 * pair;  // a range starts at a multiple of 4
    const Words words = philoxBlock(seed, static_cast<std::uint64_t>(word / 4));
    const bool second = word % 4 != 0;
    const float radius = sqrtf(-2.0f * logf(1.0f - uniformOf(second ? words.at[2] : words.at[0])));
    float sine, cosine;
    sincospif(2.0f * uniformOf(second ? words.at[3] : words.at[1]), &sine, &cosine);
    y[2 * pair] = fromFloat<T>(radius * cosine);
    if (2 * pair + 1 < p.n) y[2 * pair + 1] = fromFloat<T>(radius * sine);
  }
}

template <class T>
SECATEUR_GPU void oneHot(const OneHotParams& p) {
  for (std::int64_t i = threadIndex(); i < p.count; i += threadTotal()) {
    const std::int32_t index = p.indices[i];
    if (p.check.holds(index, i)) static_cast<T*>(p.y)[i * p.check.extent + index] = static_cast<T>(p.one);
  }
}

extern "C" {
__global__ void rand_f32(const __grid_constant__ RandomParams p) { rand<float>(p); }
__global__ void rand_bf16(const __grid_constant__ RandomParams p) { rand<bf16>(p); }
__global__ void randn_f32(const __grid_constant__ RandomParams p) { randn<float>(p); }
__global__ void randn_bf16(const __grid_constant__ RandomParams p) { randn<bf16>(p); }
__global__ void oneHot_4(const __grid_constant__ OneHotParams p) { oneHot<std::uint32_t>(p); }
__global__ void oneHot_2(const __grid_constant__ OneHotParams p) { oneHot<std::uint16_t>(p); }
__global__ void oneHot_1(const __grid_constant__ OneHotParams p) { oneHot<std::uint8_t>(p); }
}

}  // namespace secateur::cuda
