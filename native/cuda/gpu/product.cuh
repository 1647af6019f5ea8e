// Matrix products in tiles, `c[row, column] = sum over k of a[row, k] b[column, k]`, for operands of any origin
// (gpu/operand.cuh) and results of any layout (gpu/product.h). bf16 runs on the tensor cores, f32 on the ordinary ones
// in true f32. Sums are in f32, over k in order.
//
// A block computes one tile. While a slice of the operands is multiplied in one half of the shared memory, the loads of
// the next are under way; they are stored to the other half after it, so that one barrier a slice is enough.
#pragma once
#include "gpu/operand.cuh"
#include "gpu/product.h"
#include "gpu/ptx.cuh"

namespace secateur::cuda {

// Multiplies on tensor cores: warps stand in a grid over the tile, each with fragments of 16 rows and 8 columns. Which
// element of a fragment a lane holds is fixed by the instruction (PTX ISA, "Matrix Fragments for mma.m16n8k16").
template <int tileRows, int tileColumns, int warpsDown, int warpsAcross>
struct TensorTile {
  using Element = bf16;
  static constexpr int rows = tileRows, columns = tileColumns, depth = 32;
  static constexpr int threads = 32 * warpsDown * warpsAcross;
  static constexpr int down = rows / warpsDown / 16, across = columns / warpsAcross / 8;
  static_assert(across % 2 == 0, "fragments of B are loaded in pairs");

  float sums[down][across][4] = {};

  SECATEUR_GPU static int lane() { return static_cast<int>(threadIdx.x) & 31; }
  SECATEUR_GPU static int firstRow() { return static_cast<int>(threadIdx.x) / 32 / warpsAcross * (down * 16); }
  SECATEUR_GPU static int firstColumn() { return static_cast<int>(threadIdx.x) / 32 % warpsAcross * (across * 8); }

  template <class TileA, class TileB>
  SECATEUR_GPU void multiply(const TileA& a, const TileB& b) {
    // Four 8 x 8 matrices at once: which row of them this lane gives the address of.
    const int low = lane() & 7, second = lane() >> 3 & 1, third = lane() >> 4;
#pragma unroll
    for (int k = 0; k < depth; k += 16) {
      unsigned fa[down][4], fb[across][2];
#pragma unroll
      for (int i = 0; i < down; i++) {
        const int row = firstRow() + 16 * i;
        if constexpr (TileA::byRow) {
          loadMatrices(fa[i], a.at + (row + 8 * second + low) * TileA::pitch + k + 8 * third);
        } else {
          loadMatricesTransposed(fa[i], a.at + (k + 8 * third + low) * TileA::pitch + row + 8 * second);
        }
      }
#pragma unroll
      for (int j = 0; j < across; j += 2) {
        const int column = firstColumn() + 8 * j;
        unsigned two[4];
        if constexpr (TileB::byRow) {
          loadMatrices(two, b.at + (column + 8 * third + low) * TileB::pitch + k + 8 * second);
        } else {
          loadMatricesTransposed(two, b.at + (k + 8 * second + low) * TileB::pitch + column + 8 * third);
        }
        fb[j][0] = two[0];
        fb[j][1] = two[1];
        fb[j + 1][0] = two[2];
        fb[j + 1][1] = two[3];
      }
#pragma unroll
      for (int i = 0; i < down; i++) {
#pragma unroll
        for (int j = 0; j < across; j++) multiplyAdd(sums[i][j], fa[i], fb[j]);
      }
    }
  }

  // Calls visit(row, column, sum) for what this thread holds.
  template <class Visit>
  SECATEUR_GPU void each(Visit visit) const {
#pragma unroll
    for (int i = 0; i < down; i++) {
#pragma unroll
      for (int j = 0; j < across; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          visit(firstRow() + 16 * i + 8 * (e / 2) + lane() / 4, firstColumn() + 8 * j + lane() % 4 * 2 + e % 2,
                sums[i][j][e]);
        }
      }
    }
  }
};

// Multiplies with fused multiply-adds: 16 x 16 threads, each with `each / 4` runs of four rows and as many of columns,
// far enough apart that the reads of a warp are spread over the banks.
template <int tileRows, int tileColumns, int tileDepth>
struct ScalarTile {
  using Element = float;
  static constexpr int rows = tileRows, columns = tileColumns, depth = tileDepth, threads = 256;
  static constexpr int down = rows / 64, across = columns / 64;

  float sums[4 * down][4 * across] = {};

  SECATEUR_GPU static int firstRow() { return static_cast<int>(threadIdx.x) / 16 * 4; }
  SECATEUR_GPU static int firstColumn() { return static_cast<int>(threadIdx.x) % 16 * 4; }

  template <class TileA, class TileB>
  SECATEUR_GPU void multiply(const TileA& a, const TileB& b) {
#pragma unroll
    for (int k = 0; k < depth; k++) {
      Pack<float, 4> fa[down], fb[across];
#pragma unroll
      for (int i = 0; i < down; i++) fa[i] = loadPack<float, 4>(a.at + k * TileA::pitch + 64 * i + firstRow());
#pragma unroll
      for (int j = 0; j < across; j++) fb[j] = loadPack<float, 4>(b.at + k * TileB::pitch + 64 * j + firstColumn());
#pragma unroll
      for (int i = 0; i < 4 * down; i++) {
#pragma unroll
        for (int j = 0; j < 4 * across; j++) sums[i][j] = fmaf(fa[i / 4].at[i % 4], fb[j / 4].at[j % 4], sums[i][j]);
      }
    }
  }

  template <class Visit>
  SECATEUR_GPU void each(Visit visit) const {
#pragma unroll
    for (int i = 0; i < 4 * down; i++) {
#pragma unroll
      for (int j = 0; j < 4 * across; j++)
        visit(64 * (i / 4) + firstRow() + i % 4, 64 * (j / 4) + firstColumn() + j % 4, sums[i][j]);
    }
  }
};

// The tiles there are. The small ones are for products that would leave a device with large ones half empty.
template <class T, bool large>
struct TileOf;
template <>
struct TileOf<bf16, true> : TensorTile<128, 128, 2, 4> {};
template <>
struct TileOf<bf16, false> : TensorTile<64, 64, 2, 2> {};
template <>
struct TileOf<float, true> : ScalarTile<128, 128, 8> {};
template <>
struct TileOf<float, false> : ScalarTile<64, 64, 16> {};

// Which tile this block computes.
struct TilePlace {
  std::int64_t row, column, from, to, batch, piece;
};

template <class Tile>
SECATEUR_GPU TilePlace placeOf(const ProductGrid& g) {
  std::int64_t at = blockIdx.x;
  TilePlace p;
  p.column = at % g.tilesAcross * Tile::columns;
  at /= g.tilesAcross;
  p.row = at % g.tilesDown * Tile::rows;
  p.piece = at / g.tilesDown;
  p.batch = p.piece / g.splits;
  p.from = p.piece % g.splits * g.splitDepth;
  p.to = p.from + g.splitDepth < g.depth ? p.from + g.splitDepth : g.depth;
  return p;
}

// What follows the sum: relu, where it is asked for. It costs next to nothing, and so every kernel can; a function of
// more instructions is a type of its own, with `keeps`, and kernels of its own.
struct PerhapsRelu {
  static constexpr bool keeps = false;
  // NaN passes, -0 becomes 0.
  SECATEUR_GPU static float of(const ProductOutput& out, float x) { return out.relu && x <= 0 ? 0.0f : x; }
};

// The finished element: with the bias, with what was there, and what follows.
template <class T, class After>
SECATEUR_GPU void finish(const ProductOutput& out, std::int64_t batch, std::int64_t row, std::int64_t column,
                         float sum) {
  const std::int64_t at = batch * out.batchStride + row * out.rowStride + column;
  T* c = static_cast<T*>(out.c) + at;
  if (out.bias != nullptr) sum += toFloat(static_cast<const T*>(out.bias)[batch * out.biasStride + column]);
  if (out.accumulate) sum += toFloat(*c);
  if constexpr (After::keeps) {
    if (out.before != nullptr) static_cast<T*>(out.before)[at] = fromFloat<T>(sum);
  }
  *c = fromFloat<T>(After::of(out, sum));
}

// The whole of a block's work. The loaders are those of this block's batch.
template <class Tile, class After = PerhapsRelu, class LoadA, class LoadB>
SECATEUR_GPU void multiplyTile(const ProductGrid& grid, const ProductOutput& out, const TilePlace& place,
                               const LoadA& loadA, const LoadB& loadB) {
  using CarrierA = Carrier<LoadA, Tile::rows, Tile::depth, Tile::threads>;
  using CarrierB = Carrier<LoadB, Tile::columns, Tile::depth, Tile::threads>;
  __shared__ typename CarrierA::Tile sharedA[2];
  __shared__ typename CarrierB::Tile sharedB[2];
  Tile tile;
  CarrierA a(loadA, place.row);
  CarrierB b(loadB, place.column);
  a.load(place.from);
  b.load(place.from);
  a.store(sharedA[0]);
  b.store(sharedB[0]);
  __syncthreads();
  int half = 0;
  for (std::int64_t k = place.from; k < place.to; k += Tile::depth, half ^= 1) {
    const bool more = k + Tile::depth < place.to;
    if (more) {
      a.load(k + Tile::depth);
      b.load(k + Tile::depth);
    }
    // At an edge lanes load differently; the warp multiplies together.
    __syncwarp();
    tile.multiply(sharedA[half], sharedB[half]);
    if (more) {
      a.store(sharedA[half ^ 1]);
      b.store(sharedB[half ^ 1]);
    }
    __syncthreads();
  }
  tile.each([&](int i, int j, float sum) {
    const std::int64_t row = place.row + i, column = place.column + j;
    if (row >= grid.rows || column >= grid.columns) return;
    if (out.partial == nullptr) {
      finish<typename Tile::Element, After>(out, place.batch, row, column, sum);
    } else {
      out.partial[(place.piece * grid.rows + row) * grid.columns + column] = sum;
    }
  });
}

// Adds up the pieces of a split depth.
template <class T, class After = PerhapsRelu>
SECATEUR_GPU void sumPieces(const ProductSumParams& p) {
  const std::int64_t each = p.grid.rows * p.grid.columns;
  for (std::int64_t i = threadIndex(); i < p.batches * each; i += threadTotal()) {
    const std::int64_t batch = i / each, at = i % each;
    float sum = 0;
    for (std::int64_t s = 0; s < p.grid.splits; s++) sum += p.out.partial[(batch * p.grid.splits + s) * each + at];
    finish<T, After>(p.out, batch, at / p.grid.columns, at % p.grid.columns, sum);
  }
}

}  // namespace secateur::cuda
