// One register of floats, for the kernels that a compiler cannot vectorise by itself: loads and stores of f32 and bf16,
// whole or in part, and the multiply-add.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/view.h"
#include "cpu/vecmath.h"

namespace secateur::SECATEUR_ISA {

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef std::uint32_t VecBits __attribute__((vector_size(kLanes * 4)));
typedef float LooseVec __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef std::uint16_t HalfBits __attribute__((vector_size(kLanes * 2)));
typedef std::uint16_t LooseHalfBits __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

SECATEUR_INLINE Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
SECATEUR_INLINE void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }

SECATEUR_INLINE Vec load(const bf16* p) {
  const HalfBits half = *reinterpret_cast<const LooseHalfBits*>(p);
  return reinterpret_cast<Vec>(__builtin_convertvector(half, VecBits) << 16);
}

// Rounds to nearest, ties to even; NaN stays NaN.
SECATEUR_INLINE void store(bf16* p, Vec v) {
  const VecBits bits = reinterpret_cast<VecBits>(v);
  const VecBits rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const VecBits upper = (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded;
  *reinterpret_cast<LooseHalfBits*>(p) = __builtin_convertvector(upper, HalfBits);
}

// The first `count` lanes from memory, zeros behind them.
template <class T>
SECATEUR_INLINE Vec loadPart(const T* p, int count) {
  if (count >= kLanes) return load(p);
  T lanes[kLanes] = {};
  for (int i = 0; i < count; i++) lanes[i] = p[i];
  return load(lanes);
}

template <class T>
SECATEUR_INLINE void storePart(T* p, Vec v, int count) {
  if (count >= kLanes) return store(p, v);
  T lanes[kLanes];
  store(lanes, v);
  for (int i = 0; i < count; i++) p[i] = lanes[i];
}

// Past the caches, to memory; `p` on a register's boundary.
#ifdef __AVX512F__
SECATEUR_INLINE void stream(float* p, Vec v) { _mm512_stream_ps(p, v); }
SECATEUR_INLINE Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
#else
SECATEUR_INLINE void stream(float* p, Vec v) { _mm256_stream_ps(p, v); }
SECATEUR_INLINE Vec multiplyAdd(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
#endif
SECATEUR_INLINE void stream(bf16* p, Vec v) { store(p, v); }
SECATEUR_INLINE Vec multiplyAdd(float a, Vec b, Vec c) { return multiplyAdd(Vec{} + a, b, c); }

}  // namespace secateur::SECATEUR_ISA
