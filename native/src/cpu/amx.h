// Products of bf16 tiles on a processor with AMX: the eight tile registers, and one kernel over them.
//
//   c[32 x 32] (+)= a[32 x depth] b[depth x 32]      bf16 in, f32 out; depth a multiple of 32
//
// Operands are packed beforehand, so that every tile is 1 KiB in one piece (A may also be a plain matrix):
//   A  [row / 16][depth / 32][16 rows][32]
//   B  [column / 16][depth / 2][16 columns][2]       pairs along the depth, as the instruction wants them
//
// Four sums in registers use each loaded tile twice: two loads for two multiplications keep up when one operand is in
// the first-level cache. Denormal inputs count as zero and denormal sums become zero: the instruction has no other way.
#pragma once

#if defined(__AVX512F__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/parallel.h"

#define SECATEUR_AMX 1

namespace secateur::SECATEUR_ISA::amx {

constexpr std::int64_t kSide = 16;    // rows of a tile, and columns of a result
constexpr std::int64_t kDepth = 32;   // bf16 values in a row of A
constexpr std::int64_t kTile = 1024;  // bytes

/// Whether the processor has bf16 tiles and the system lets this process use them (it asks once; Linux 5.16 or newer).
static inline bool available() {
  static int answer = -1;  // JavaScript's thread and the queue's may find it out at the same time
  const int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
  if (known >= 0) return known == 1;
  unsigned a = 0, b = 0, c = 0, d = 0;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
  constexpr unsigned bf16Tiles = 1u << 22, tiles = 1u << 24;
  constexpr int requestPermission = 0x1023, tileData = 18;
  const bool has = (d & bf16Tiles) != 0 && (d & tiles) != 0;
  const bool allowed = has && syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  __atomic_store_n(&answer, allowed ? 1 : 0, __ATOMIC_RELAXED);
  return allowed;
}

/// All eight tiles 16 rows of 64 bytes. Every thread that multiplies does this first, and `release` at the end.
static inline void configure() {
  struct alignas(64) Config {
    std::uint8_t palette = 1, startRow = 0, reserved[14] = {};
    std::uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } const config;
  __asm__ volatile("ldtilecfg %0" : : "m"(config));
}
static inline void release() { __asm__ volatile("tilerelease"); }

// The instructions name their tiles in the code itself: a register number is a template argument.
template <int Tile>
SECATEUR_INLINE void zero() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
template <int Tile>
SECATEUR_INLINE void load(const void* from, std::int64_t rowBytes = 64) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(rowBytes), "i"(Tile) : "memory");
}
template <int Tile>
SECATEUR_INLINE void store(void* to) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(std::int64_t{64}), "i"(Tile) : "memory");
}
template <int Sum, int A, int B>
SECATEUR_INLINE void multiply() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sum), "i"(A), "i"(B));
}

template <int N>
struct Register {
  static constexpr int value = N;
};

/// Sums of Rows x Columns tiles (1 or 2 each): `c[row * Columns + column]`, 1 KiB each. `aRow` and `bColumn` are the
/// bytes from one row of A's tiles to the next and from one column of B's to the next. A may also be a plain matrix:
/// `rowBytes` from one of its rows to the next, `nextTile` from one tile's columns to the next.
template <int Rows, int Columns>
static inline void product(const char* a, std::int64_t aRow, const char* b, std::int64_t bColumn, float* c,
                           std::int64_t depth, bool accumulate, std::int64_t rowBytes = 64,
                           std::int64_t nextTile = kTile) {
  char* to = reinterpret_cast<char*>(c);
  const auto at = [&](int sum) { return to + sum * kTile; };
  const auto begin = [&](auto sum) {
    if (accumulate) {
      load<decltype(sum)::value>(at(decltype(sum)::value));
    } else {
      zero<decltype(sum)::value>();
    }
  };
  constexpr int count = Rows * Columns;
  begin(Register<0>{});
  if constexpr (count > 1) begin(Register<1>{});
  if constexpr (count > 2) {
    begin(Register<2>{});
    begin(Register<3>{});
  }
  for (std::int64_t k = 0; k < depth; k += kDepth, a += nextTile, b += kTile) {
    load<4>(a, rowBytes);
    load<6>(b);
    multiply<0, 4, 6>();
    if constexpr (Columns == 2) {
      load<7>(b + bColumn);
      multiply<1, 4, 7>();
    }
    if constexpr (Rows == 2) {
      load<5>(a + aRow, rowBytes);
      multiply<Columns, 5, 6>();
      if constexpr (Columns == 2) multiply<3, 5, 7>();
    }
  }
  store<0>(at(0));
  if constexpr (count > 1) store<1>(at(1));
  if constexpr (count > 2) {
    store<2>(at(2));
    store<3>(at(3));
  }
}

/// The same with the numbers of tiles found at run time.
SECATEUR_INLINE void product(std::int64_t rows, std::int64_t columns, const char* a, std::int64_t aRow, const char* b,
                             std::int64_t bColumn, float* c, std::int64_t depth, bool accumulate,
                             std::int64_t rowBytes = 64, std::int64_t nextTile = kTile) {
  const auto run = [&](auto r, auto n) {
    product<decltype(r)::value, decltype(n)::value>(a, aRow, b, bColumn, c, depth, accumulate, rowBytes, nextTile);
  };
  if (rows == 2 && columns == 2) return run(Register<2>{}, Register<2>{});
  if (rows == 2) return run(Register<2>{}, Register<1>{});
  if (columns == 2) return run(Register<1>{}, Register<2>{});
  run(Register<1>{}, Register<1>{});
}

// With a full mask these are the plain instructions; GCC 12's own unmasked forms warn about their undefined operand.
constexpr __mmask16 kAll = 0xffff;

/// 16 values of two rows, taken in turns: a pair of rows of B.
SECATEUR_INLINE __m512i interleave(__m256i even, __m256i odd) {
  return _mm512_maskz_cvtepu16_epi32(kAll, even) |
         _mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, odd), 16);
}

/// Transposes 16 x 16 values of 32 bits (pairs of bf16).
SECATEUR_INLINE void transpose(__m512i* r) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_maskz_unpacklo_epi32(kAll, r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_maskz_unpackhi_epi32(kAll, r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      r[4 * i + 2 * j] = _mm512_maskz_unpacklo_epi64(0xff, t[4 * i + j], t[4 * i + 2 + j]);
      r[4 * i + 2 * j + 1] = _mm512_maskz_unpackhi_epi64(0xff, t[4 * i + j], t[4 * i + 2 + j]);
    }
  }
  // Now r[4 i + j] holds, in its four quarters q, column 4 q + j of rows 4 i to 4 i + 3.
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    const __m512i lowA = _mm512_maskz_shuffle_i32x4(kAll, r[j], r[4 + j], 0x44),
                  highA = _mm512_maskz_shuffle_i32x4(kAll, r[j], r[4 + j], 0xee);
    const __m512i lowB = _mm512_maskz_shuffle_i32x4(kAll, r[8 + j], r[12 + j], 0x44),
                  highB = _mm512_maskz_shuffle_i32x4(kAll, r[8 + j], r[12 + j], 0xee);
    t[j] = _mm512_maskz_shuffle_i32x4(kAll, lowA, lowB, 0x88);
    t[4 + j] = _mm512_maskz_shuffle_i32x4(kAll, lowA, lowB, 0xdd);
    t[8 + j] = _mm512_maskz_shuffle_i32x4(kAll, highA, highB, 0x88);
    t[12 + j] = _mm512_maskz_shuffle_i32x4(kAll, highA, highB, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) r[i] = t[i];
}

}  // namespace secateur::SECATEUR_ISA::amx
#endif
