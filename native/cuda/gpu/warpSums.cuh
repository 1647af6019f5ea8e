// Sums of products that a warp holds in its registers: 16 rows of a result, `columns` of them wide. bf16 runs on the
// tensor cores, f32 on the ordinary ones in true f32.
//
// A lane holds `heldRows` x `heldColumns` of the sums, sums(r, c) at row(r) and column(c) of the warp's 16 rows;
// `spread` neighbouring lanes share a row. Everything about a row can thus be done without leaving the warp.
//
//   multiply(rows, others)       sums += rows others^T, over the depth that both lines have
//   multiplyBy(factors, values)  sums += factors values, where the factors are the sums of another product
//
// In bf16 the factors are rounded and used where they are, since the instruction takes them as it gives them; in f32
// they are exchanged through shared memory. There the columns of a result come in runs of four, which are read at once.
#pragma once
#include "gpu/element.cuh"
#include "gpu/ptx.cuh"

namespace secateur::cuda {

constexpr int warpRows = 16;

SECATEUR_GPU int laneIndex() { return static_cast<int>(threadIdx.x) & 31; }

// The places of a fragment are those of the PTX ISA, "Matrix Fragments for mma.m16n8k16".
template <int columns>
struct TensorSums {
  static constexpr int heldRows = 2, heldColumns = columns / 4, spread = 4, run = 2;
  static_assert(columns % 16 == 0, "fragments of the second operand are loaded in pairs");

  float at[columns / 8][4] = {};

  SECATEUR_GPU float& operator()(int r, int c) { return at[c / 2][2 * r + c % 2]; }
  SECATEUR_GPU float operator()(int r, int c) const { return at[c / 2][2 * r + c % 2]; }
  SECATEUR_GPU static int row(int r) { return laneIndex() / 4 + 8 * r; }
  SECATEUR_GPU static int column(int c) { return 8 * (c / 2) + laneIndex() % 4 * 2 + c % 2; }

  template <class Rows, class Others>
  SECATEUR_GPU void multiply(const Rows& rows, int firstRow, const Others& others, int depth) {
    const int low = laneIndex() & 7, second = laneIndex() >> 3 & 1, third = laneIndex() >> 4;
#pragma unroll 1
    for (int k = 0; k < depth; k += 16) {
      unsigned a[4];
      loadMatrices(a, rows.line(firstRow + 8 * second + low) + k + 8 * third);
#pragma unroll
      for (int j = 0; j < columns / 8; j += 2) {
        unsigned b[4];
        loadMatrices(b, others.line(8 * j + 8 * third + low) + k + 8 * second);
        multiplyPair(j, a, b);
      }
    }
  }

  struct Exchange {};

  // Of the values, `width` columns are not all zero.
  template <class Factors, class Values>
  SECATEUR_GPU void multiplyBy(const Factors& factors, const Values& values, int width, Exchange*) {
    const int low = laneIndex() & 7, second = laneIndex() >> 3 & 1, third = laneIndex() >> 4;
#pragma unroll
    for (int k = 0; k < Factors::heldColumns / 4; k++) {
      const auto& left = factors.at[2 * k];
      const auto& right = factors.at[2 * k + 1];
      const unsigned a[4] = {bf16Pair(left[0], left[1]), bf16Pair(left[2], left[3]), bf16Pair(right[0], right[1]),
                             bf16Pair(right[2], right[3])};
#pragma unroll
      for (int j = 0; j < columns / 8; j += 2) {
        if (8 * j >= width) break;
        unsigned b[4];
        loadMatricesTransposed(b, values.line(16 * k + 8 * second + low) + 8 * j + 8 * third);
        multiplyPair(j, a, b);
      }
    }
  }

 private:
  SECATEUR_GPU void multiplyPair(int j, const unsigned (&a)[4], const unsigned (&b)[4]) {
    const unsigned first[2] = {b[0], b[1]}, next[2] = {b[2], b[3]};
    multiplyAdd(at[j], a, first);
    multiplyAdd(at[j + 1], a, next);
  }
};

template <int columns, int runLength>
struct ScalarSums {
  static constexpr int heldRows = 4, heldColumns = columns / 8, spread = 8, run = runLength;

  float at[heldRows][heldColumns] = {};

  SECATEUR_GPU float& operator()(int r, int c) { return at[r][c]; }
  SECATEUR_GPU float operator()(int r, int c) const { return at[r][c]; }
  SECATEUR_GPU static int row(int r) { return laneIndex() / 8 * 4 + r; }
  SECATEUR_GPU static int column(int c) { return c / run * 8 * run + laneIndex() % 8 * run + c % run; }

  template <class Rows, class Others>
  SECATEUR_GPU void multiply(const Rows& rows, int firstRow, const Others& others, int depth) {
#pragma unroll 1
    for (int k = 0; k < depth; k += 4) {
      Pack<float, 4> a[heldRows];
#pragma unroll
      for (int r = 0; r < heldRows; r++) a[r] = loadPack<float, 4>(rows.line(firstRow + row(r)) + k);
#pragma unroll
      for (int c = 0; c < heldColumns; c++) {
        const auto b = loadPack<float, 4>(others.line(column(c)) + k);
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int r = 0; r < heldRows; r++) at[r][c] = fmaf(a[r].at[i], b.at[i], at[r][c]);
        }
      }
    }
  }

  // For factors of up to 32 columns; a warp has its own.
  struct Exchange {
    static constexpr int pitch = 32 + 4;
    alignas(16) float at[warpRows * pitch];
  };

  template <class Factors, class Values>
  SECATEUR_GPU void multiplyBy(const Factors& factors, const Values& values, int width, Exchange* exchange) {
    static_assert(run == 4, "values are read in runs of four");
    float* shared = exchange[threadIdx.x / 32].at;
#pragma unroll
    for (int r = 0; r < heldRows; r++) {
#pragma unroll
      for (int c = 0; c < Factors::heldColumns; c++)
        shared[row(r) * Exchange::pitch + Factors::column(c)] = factors(r, c);
    }
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < Factors::heldColumns * 8; k += 4) {
      Pack<float, 4> a[heldRows];
#pragma unroll
      for (int r = 0; r < heldRows; r++) a[r] = loadPack<float, 4>(shared + row(r) * Exchange::pitch + k);
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int c = 0; c < heldColumns; c += run) {
          if (8 * c >= width) break;
          const auto b = loadPack<float, 4>(values.line(k + i) + column(c));
#pragma unroll
          for (int j = 0; j < run; j++) {
#pragma unroll
            for (int r = 0; r < heldRows; r++) at[r][c + j] = fmaf(a[r].at[i], b.at[j], at[r][c + j]);
          }
        }
      }
    }
    // The next product's factors take their place.
    __syncwarp();
  }
};

// Products to be used as factors, and products to be stored.
template <class T, int columns>
struct FactorSums;
template <int columns>
struct FactorSums<bf16, columns> : TensorSums<columns> {};
template <int columns>
struct FactorSums<float, columns> : ScalarSums<columns, 1> {};
template <class T, int columns>
struct ResultSums;
template <int columns>
struct ResultSums<bf16, columns> : TensorSums<columns> {};
template <int columns>
struct ResultSums<float, columns> : ScalarSums<columns, 4> {};

// Over the lanes that share a row; all of them get the result.
template <class Sums, class Op>
SECATEUR_GPU float acrossRow(float x, Op op) {
#pragma unroll
  for (int offset = Sums::spread / 2; offset > 0; offset /= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

}  // namespace secateur::cuda
