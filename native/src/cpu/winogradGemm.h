// The matrix products of Winograd convolution on data kept in blocks of 16 channels.
//
// B and the result are `[columns / 16][row][16]`. A is kept in the same layout and used in two ways:
//   RowMajor    A(m, k) = a[k / 16][m][k % 16]   rows are tiles, the depth is the channels (a multiple of 16)
//   Transposed  A(m, k) = a[k][m]                rows are the 16 channels of one block, the depth is the tiles
// so that every address inside the inner loop is one pointer plus a constant.
#pragma once

#include "cpu/winogradTransform.h"

namespace secateur::SECATEUR_ISA::winograd {

#ifdef __AVX512F__
constexpr int kColumnBlocks = 2;  // 14 x 32 results in 28 registers
constexpr int kTileRows = 14;
constexpr int kTransposedRows = 8;
#else
constexpr int kColumnBlocks = 1;  // 6 x 16 results in 12 registers
constexpr int kTileRows = 6;
constexpr int kTransposedRows = 4;
#endif

enum class Left { RowMajor, Transposed };

/// c[Rows x Blocks * 16] (+)= A[Rows x depth] . b[depth x Blocks * 16]
template <int Rows, int Blocks, Left Kind>
static inline void productTile(const float* a, std::int64_t aStride, const float* b, std::int64_t bStride, float* c,
                               std::int64_t cStride, std::int64_t depth, bool accumulate) {
  constexpr int vectors = Blocks * kParts;
  Vec sum[Rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
      sum[r][v] = accumulate ? load(c + v / kParts * cStride + r * kBlock + v % kParts * kLanes) : Vec{};

  const auto step = [&](const float* left, int leftStride, const float* right) __attribute__((always_inline)) {
    Vec column[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) column[v] = load(right + v / kParts * bStride + v % kParts * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[r][v] = multiplyAdd(left[r * leftStride], column[v], sum[r][v]);
  };
  if (Kind == Left::RowMajor) {
    for (std::int64_t block = 0; block < depth; block += kBlock, a += aStride)
      for (int k = 0; k < kBlock; k++, b += kBlock) step(a + k, kBlock, b);
  } else {
    for (std::int64_t k = 0; k < depth; k++, a += kBlock, b += kBlock) step(a, 1, b);
  }

#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) store(c + v / kParts * cStride + r * kBlock + v % kParts * kLanes, sum[r][v]);
}

/// `productTile` with the number of rows found at run time, `rows` <= Rows.
template <int Rows, int Blocks>
static inline void productRows(std::int64_t rows, const float* a, std::int64_t aStride, const float* b,
                               std::int64_t bStride, float* c, std::int64_t cStride, std::int64_t depth) {
  if (rows == Rows)
    productTile<Rows, Blocks, Left::RowMajor>(a, aStride, b, bStride, c, cStride, depth, false);
  else if constexpr (Rows > 1)
    productRows<Rows - 1, Blocks>(rows, a, aStride, b, bStride, c, cStride, depth);
}

/// c[rows x columns] = a[rows x depth] . b[depth x columns], strides from one block of 16 to the next.
static inline void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                           std::int64_t aStride, const float* b, std::int64_t bStride, float* c, std::int64_t cStride) {
  const std::int64_t pieces = (rows + kTileRows - 1) / kTileRows, piece = (rows + pieces - 1) / pieces;
  for (std::int64_t column = 0; column < columns;) {
    const bool wide = columns - column >= kColumnBlocks * kBlock;
    const float* right = b + column / kBlock * bStride;
    float* result = c + column / kBlock * cStride;
    for (std::int64_t row = 0; row < rows; row += piece) {
      const std::int64_t count = rows - row < piece ? rows - row : piece;
      const float* left = a + row * kBlock;
      if (wide)
        productRows<kTileRows, kColumnBlocks>(count, left, aStride, right, bStride, result + row * kBlock, cStride,
                                              depth);
      else
        productRows<kTileRows, 1>(count, left, aStride, right, bStride, result + row * kBlock, cStride, depth);
    }
    column += wide ? kColumnBlocks * kBlock : kBlock;
  }
}

/// c[rows x columns] (+)= a^t . b over `depth` tiles; rows and columns are multiples of 16.
static inline void productTransposed(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* a,
                                     std::int64_t aStride, const float* b, std::int64_t bStride, float* c,
                                     std::int64_t cStride, bool accumulate) {
  for (std::int64_t column = 0; column < columns;) {
    const bool wide = columns - column >= kColumnBlocks * kBlock;
    const float* right = b + column / kBlock * bStride;
    float* result = c + column / kBlock * cStride;
    for (std::int64_t row = 0; row < rows; row += kTransposedRows) {
      const float* left = a + row / kBlock * aStride + row % kBlock;
      float* to = result + row * kBlock;
      if (wide)
        productTile<kTransposedRows, kColumnBlocks, Left::Transposed>(left, 0, right, bStride, to, cStride, depth,
                                                                      accumulate);
      else
        productTile<kTransposedRows, 1, Left::Transposed>(left, 0, right, bStride, to, cStride, depth, accumulate);
    }
    column += wide ? kColumnBlocks * kBlock : kBlock;
  }
}

}  // namespace secateur::SECATEUR_ISA::winograd
