#pragma once
// One vector register of floats, for the few kernels where the compiler's own vectorisation was measured to fall short
// (streaming stores, IEEE-careful clamps, powers of two). The masked intrinsics with a full mask compile to the plain
// instruction; GCC 12's unmasked ones warn about their own undefined operand.
#include <immintrin.h>

#include <cstdint>

#include "vecmath.h"

namespace secateur::SECATEUR_ISA {

#if defined(__AVX512F__)
typedef __m512 Vec;
typedef __m512i VecBits;
constexpr int kLanes = 16;
constexpr __mmask16 kAll = 0xffff;
SECATEUR_INLINE Vec splat(float x) { return _mm512_set1_ps(x); }
SECATEUR_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
SECATEUR_INLINE void put(float* p, Vec v) { _mm512_storeu_ps(p, v); }
SECATEUR_INLINE void stream(float* p, Vec v) { _mm512_stream_ps(p, v); }
SECATEUR_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
SECATEUR_INLINE Vec absOf(Vec v) { return _mm512_castsi512_ps(_mm512_castps_si512(v) & _mm512_set1_epi32(0x7fffffff)); }
// The larger and the smaller of bound and v; v where it is NaN.
SECATEUR_INLINE Vec atLeast(Vec bound, Vec v) { return _mm512_maskz_max_ps(kAll, bound, v); }
SECATEUR_INLINE Vec atMost(Vec bound, Vec v) { return _mm512_maskz_min_ps(kAll, bound, v); }
SECATEUR_INLINE Vec nearest(Vec v) { return _mm512_maskz_roundscale_ps(kAll, v, 0); }
// For whole n from -127 (gives 0) to 128 (v * 2^128, which is infinite from v = 1 on).
SECATEUR_INLINE Vec timesPowerOfTwo(Vec v, Vec n) {
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(n, splat(-127.0f), _CMP_NLE_UQ), v, n);
}
SECATEUR_INLINE Vec load(const bf16* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, half), 16));
}
SECATEUR_INLINE __m256i roundToBf16(Vec v) {
  const VecBits bits = _mm512_castps_si512(v);
  const VecBits odd = _mm512_maskz_srli_epi32(kAll, bits, 16) & _mm512_set1_epi32(1);
  const VecBits rounded = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const VecBits kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x00400000));
  return _mm512_maskz_cvtepi32_epi16(kAll, _mm512_maskz_srli_epi32(kAll, kept, 16));
}
SECATEUR_INLINE void put(bf16* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), roundToBf16(v)); }
SECATEUR_INLINE void stream(bf16* p, Vec v) { _mm256_stream_si256(reinterpret_cast<__m256i*>(p), roundToBf16(v)); }
#else
typedef __m256 Vec;
typedef __m256i VecBits;
constexpr int kLanes = 8;
SECATEUR_INLINE Vec splat(float x) { return _mm256_set1_ps(x); }
SECATEUR_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
SECATEUR_INLINE void put(float* p, Vec v) { _mm256_storeu_ps(p, v); }
SECATEUR_INLINE void stream(float* p, Vec v) { _mm256_stream_ps(p, v); }
SECATEUR_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
SECATEUR_INLINE Vec absOf(Vec v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
// The larger and the smaller of bound and v; v where it is NaN.
SECATEUR_INLINE Vec atLeast(Vec bound, Vec v) { return _mm256_max_ps(bound, v); }
SECATEUR_INLINE Vec atMost(Vec bound, Vec v) { return _mm256_min_ps(bound, v); }
SECATEUR_INLINE Vec nearest(Vec v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// For whole n from -127 (gives 0) to 128 (gives infinity).
SECATEUR_INLINE Vec timesPowerOfTwo(Vec v, Vec n) {
  const VecBits exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return v * _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
SECATEUR_INLINE Vec load(const bf16* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
SECATEUR_INLINE __m128i roundToBf16(Vec v) {
  const VecBits bits = _mm256_castps_si256(v);
  const VecBits odd = _mm256_srli_epi32(bits, 16) & _mm256_set1_epi32(1);
  const VecBits rounded = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
  const VecBits quiet = bits | _mm256_set1_epi32(0x00400000);
  const VecBits kept = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
  const VecBits upper = _mm256_srli_epi32(kept, 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
}
SECATEUR_INLINE void put(bf16* p, Vec v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), roundToBf16(v)); }
SECATEUR_INLINE void stream(bf16* p, Vec v) { _mm_stream_si128(reinterpret_cast<__m128i*>(p), roundToBf16(v)); }
#endif

// Work is cut into chunks of this many elements whatever the number of threads, so that sums do not depend on it.
constexpr std::int64_t kChunk = 16384;
// Below this many elements a parallel region costs more than it saves.
constexpr std::int64_t kParallel = 32768;
// Results of more bytes than this will not be found in a cache anyway: stores go past it.
constexpr std::int64_t kStreamBytes = std::int64_t{16} << 20;

template <typename T>
SECATEUR_INLINE bool worthStreaming(const T* out, std::int64_t n) {
  return n * static_cast<std::int64_t>(sizeof(T)) > kStreamBytes && reinterpret_cast<std::uintptr_t>(out) % 64 == 0;
}

template <bool kStream, typename T>
SECATEUR_INLINE void write(T* p, Vec v) {
  if constexpr (kStream) {
    stream(p, v);
  } else {
    put(p, v);
  }
}

// The last count < kLanes elements of a range, by way of a full register padded with zeros.
template <typename T>
SECATEUR_INLINE Vec loadPart(const T* p, int count) {
  T padded[kLanes] = {};
  for (int i = 0; i < count; ++i) padded[i] = p[i];
  return load(padded);
}
template <typename T>
SECATEUR_INLINE void putPart(T* p, Vec v, int count) {
  T padded[kLanes];
  put(padded, v);
  for (int i = 0; i < count; ++i) p[i] = padded[i];
}

}  // namespace secateur::SECATEUR_ISA
