// Small f32 matrix products on memory that one thread holds in its cache:
//
//   c[rows x columns] (+)= a[rows x depth] b[depth x columns]
//
// A is read through two strides, so that its transpose costs nothing. B and C have rows of `ldb` and `ldc` numbers, and
// `columns` is a multiple of `tileColumns`: callers pad their buffers.
#pragma once
#include <immintrin.h>

#include "cpu/vecmath.h"

namespace secateur::SECATEUR_ISA {

#ifdef __AVX512F__
constexpr int tileLanes = 16;
constexpr int tileRows = 12;  // 12 x 32 sums in 24 registers
#else
constexpr int tileLanes = 8;
constexpr int tileRows = 6;  // 6 x 16 sums in 12 registers
#endif
constexpr std::int64_t tileColumns = tileLanes;

SECATEUR_INLINE std::int64_t padded(std::int64_t n) { return (n + tileColumns - 1) / tileColumns * tileColumns; }

typedef float TileVec __attribute__((vector_size(tileLanes * 4)));
typedef float LooseTileVec __attribute__((vector_size(tileLanes * 4), aligned(4), may_alias));

SECATEUR_INLINE TileVec tileMultiplyAdd(float a, TileVec b, TileVec c) {
#ifdef __AVX512F__
  return _mm512_fmadd_ps(TileVec{} + a, b, c);
#else
  return _mm256_fmadd_ps(TileVec{} + a, b, c);
#endif
}

struct TileOperands {
  const float* a;
  std::int64_t aRow, aColumn;
  const float* b;
  std::int64_t ldb;
  float* c;
  std::int64_t ldc;
};

template <int Rows, int Vectors>
static void matrixTile(const TileOperands& t, std::int64_t depth, bool accumulate) {
  TileVec sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++)
      sum[r][v] = accumulate ? *reinterpret_cast<const LooseTileVec*>(t.c + r * t.ldc + v * tileLanes) : TileVec{};
  const float* a = t.a;
  const float* b = t.b;
  for (std::int64_t k = 0; k < depth; k++, a += t.aColumn, b += t.ldb) {
    TileVec column[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++) column[v] = *reinterpret_cast<const LooseTileVec*>(b + v * tileLanes);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; v++) sum[r][v] = tileMultiplyAdd(a[r * t.aRow], column[v], sum[r][v]);
  }
#pragma GCC unroll 12
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; v++) *reinterpret_cast<LooseTileVec*>(t.c + r * t.ldc + v * tileLanes) = sum[r][v];
}

template <int Rows, int Vectors>
SECATEUR_INLINE void tileOfRows(std::int64_t rows, const TileOperands& t, std::int64_t depth, bool accumulate) {
  if (rows == Rows) {
    matrixTile<Rows, Vectors>(t, depth, accumulate);
  } else if constexpr (Rows > 1) {
    tileOfRows<Rows - 1, Vectors>(rows, t, depth, accumulate);
  }
}

static void smallProduct(std::int64_t rows, std::int64_t columns, std::int64_t depth, const TileOperands& whole,
                         bool accumulate) {
  if (rows == 0) return;
  // Rows in pieces of nearly equal height rather than a thin last one.
  const std::int64_t pieces = (rows + tileRows - 1) / tileRows, height = (rows + pieces - 1) / pieces;
  for (std::int64_t column = 0; column < columns;) {
    const bool wide = columns - column >= 2 * tileColumns;
    for (std::int64_t row = 0; row < rows; row += height) {
      TileOperands t = whole;
      t.a += row * t.aRow;
      t.b += column;
      t.c += row * t.ldc + column;
      const std::int64_t count = rows - row < height ? rows - row : height;
      if (wide) {
        tileOfRows<tileRows, 2>(count, t, depth, accumulate);
      } else {
        tileOfRows<tileRows, 1>(count, t, depth, accumulate);
      }
    }
    column += wide ? 2 * tileColumns : tileColumns;
  }
}

}  // namespace secateur::SECATEUR_ISA
