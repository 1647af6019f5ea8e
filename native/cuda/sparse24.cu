// Weights with two of every four entries. Packing reads the weight once and writes two values and four bits a group of
// four: from bf16, 2 + 1 + 0.125 bytes an element, with the transpose 2 + 2 + 0.25 = 4.25. Nothing less can be moved.
//
// Products run on sparse tensor cores, y[pixel, o] = sum over k of w[o, k] x[pixel, k]: the packed weight is operand A,
// what it is multiplied with is operand B, a matrix or the windows of an image.
#include "sparse24.h"

#include "gpu/gelu.cuh"
#include "gpu/product.cuh"
#include "gpu/reduce.cuh"
#include "gpu/window.cuh"

namespace secateur::cuda {

constexpr int group = 4;

// Sorts like the magnitude, NaN highest; among equal ones the later place comes out higher.
SECATEUR_GPU unsigned rankOf(bf16 x, int place) { return (x.bits & 0x7fffu) << 4 | static_cast<unsigned>(place); }

// Larger first, by a bitonic network: every place is known when it is compiled.
template <int n>
SECATEUR_GPU void sortDown(unsigned (&x)[n]) {
#pragma unroll
  for (int run = 2; run <= n; run *= 2) {
#pragma unroll
    for (int step = run / 2; step > 0; step /= 2) {
#pragma unroll
      for (int i = 0; i < n; i++) {
        const int other = i ^ step;
        if (other < i) continue;
        const unsigned a = x[i], b = x[other];
        const bool down = (i & run) == 0;
        x[i] = down ? max(a, b) : min(a, b);
        x[other] = down ? min(a, b) : max(a, b);
      }
    }
  }
}

// The entries of a tile that stay, as bits: at most two a row, and in a 4 x 4 tile two a column, largest first. Counts
// of rows and columns stand two bits each in one register.
template <int tall>
SECATEUR_GPU unsigned keptOf(const Pack<bf16, group> (&tile)[tall]) {
  unsigned ranks[tall * group];
#pragma unroll
  for (int i = 0; i < tall * group; i++) ranks[i] = rankOf(tile[i / group].at[i % group], i);
  sortDown(ranks);
  unsigned kept = 0, rows = 0, columns = 0;
#pragma unroll
  for (int i = 0; i < tall * group; i++) {
    const unsigned place = ranks[i] & 15, row = place / group * 2, column = place % group * 2;
    if (((rows >> row | columns >> column) & 2) != 0) continue;
    rows += 1u << row;
    columns += 1u << column;
    kept |= 1u << place;
  }
  return kept;
}

struct PackedFour {
  unsigned values;  // two bf16
  unsigned places;  // four bits
};

// Filled up with zeros at the first free places where fewer than two stay.
SECATEUR_GPU PackedFour packFour(const Pack<bf16, group>& four, unsigned kept) {
  unsigned chosen = kept;
#pragma unroll
  for (unsigned place = 0; place < 2; place++) {
    // Two rounds: each adds the lowest free place while there are fewer than two.
    const unsigned free = ~chosen & (chosen + 1);
    if (__popc(chosen) < 2) chosen |= free;
  }
  const unsigned first = __ffs(chosen) - 1, second = 31 - __clz(chosen);
  unsigned low = 0, high = 0;
#pragma unroll
  for (unsigned place = 0; place < group; place++) {
    const unsigned value = (kept >> place & 1) != 0 ? four.at[place].bits : 0u;
    low = place == first ? value : low;
    high = place == second ? value : high;
  }
  return {low | high << 16, first | second << 2};
}

template <class T>
SECATEUR_GPU Pack<bf16, group> loadFour(const T* from) {
  const Pack<T, group> wide = loadPack<T, group>(from);
  Pack<bf16, group> four;
#pragma unroll
  for (int i = 0; i < group; i++) four.at[i] = fromFloat<bf16>(toFloat(wide.at[i]));
  return four;
}
template <>
SECATEUR_GPU Pack<bf16, group> loadFour(const bf16* from) {
  return loadPack<bf16, group>(from);
}

// Eight lanes have the eight groups of one word: the first gets it whole.
SECATEUR_GPU unsigned joinedWord(unsigned places) {
  unsigned word = places << (4 * (threadIdx.x & 7));
#pragma unroll
  for (int offset = 4; offset > 0; offset >>= 1) word |= __shfl_xor_sync(allLanes, word, offset);
  return word;
}

// A thread has a group of four; eight neighbouring lanes have a word.
template <class T>
SECATEUR_GPU void pack24(const Pack24Params& p) {
  const std::int64_t groups = p.rows * p.columns / group;
  // Whole warps go round: the last ones carry on with groups that do not exist.
  for (std::int64_t first = threadIndex() - (threadIdx.x & 31); first < groups; first += threadTotal()) {
    const std::int64_t i = first + (threadIdx.x & 31);
    const bool real = i < groups;
    const Pack<bf16, group> four[1] = {loadFour(static_cast<const T*>(p.w) + (real ? i : 0) * group)};
    const PackedFour packed = packFour(four[0], keptOf<1>(four));
    const unsigned word = joinedWord(packed.places);
    if (!real) continue;
    static_cast<unsigned*>(p.values)[i] = packed.values;
    if (i % 8 == 0) p.meta[i / 8] = word;
  }
}

// A warp has a square of 32 x 32: in each of two rounds a lane has a 4 x 4 tile, eight tiles across and four down.
// Words of the rows lie within eight neighbouring lanes; those of the columns are put together in shared memory.
template <class T>
SECATEUR_GPU void packBoth24(const Pack24Params& p) {
  constexpr int warps = 4;
  __shared__ unsigned columnWords[warps][32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  const std::int64_t across = p.columns / 32, squares = p.rows / 32 * across;
  const auto* w = static_cast<const T*>(p.w);
  for (std::int64_t square = blockIdx.x * warps + warp; square < squares; square += std::int64_t{gridDim.x} * warps) {
    const std::int64_t row0 = square / across * 32, column0 = square % across * 32;
    columnWords[warp][lane] = 0;
    __syncwarp();
#pragma unroll 1
    for (int round = 0; round < 2; round++) {
      const int down = 16 * round + lane / 8 * group, right = lane % 8 * group;
      const std::int64_t row = row0 + down, column = column0 + right;
      Pack<bf16, group> tile[group];
#pragma unroll
      for (int i = 0; i < group; i++) tile[i] = loadFour(w + (row + i) * p.columns + column);
      const unsigned kept = keptOf<group>(tile);
#pragma unroll
      for (int i = 0; i < group; i++) {
        const PackedFour packed = packFour(tile[i], kept >> (group * i) & 15);
        static_cast<unsigned*>(p.values)[((row + i) * p.columns + column) / group] = packed.values;
        const unsigned word = joinedWord(packed.places);
        if (lane % 8 == 0) p.meta[((row + i) * p.columns + column) / 32] = word;
      }
#pragma unroll
      for (int j = 0; j < group; j++) {
        Pack<bf16, group> along;
        unsigned keptColumn = 0;
#pragma unroll
        for (int i = 0; i < group; i++) {
          along.at[i] = tile[i].at[j];
          keptColumn |= (kept >> (group * i + j) & 1) << i;
        }
        const PackedFour packed = packFour(along, keptColumn);
        static_cast<unsigned*>(p.valuesT)[((column + j) * p.rows + row) / group] = packed.values;
        atomicOr(&columnWords[warp][right + j], packed.places << down);
      }
    }
    __syncwarp();
    p.metaT[((column0 + lane) * p.rows + row0) / 32] = columnWords[warp][lane];
    __syncwarp();
  }
}

// A tile of y: `rows` outputs by `columns` pixels, with a slice of 32 columns of the weight at a time.
template <int tileRows, int tileColumns, int warpsDown, int warpsAcross>
struct SparseTile {
  static constexpr int rows = tileRows, columns = tileColumns, depth = 32, threads = 32 * warpsDown * warpsAcross;
  static constexpr int down = rows / warpsDown / 16, across = columns / warpsAcross / 8;

  float sums[down][across][4] = {};

  SECATEUR_GPU static int lane() { return static_cast<int>(threadIdx.x) & 31; }
  SECATEUR_GPU static int firstRow() { return static_cast<int>(threadIdx.x) / 32 / warpsAcross * (down * 16); }
  SECATEUR_GPU static int firstColumn() { return static_cast<int>(threadIdx.x) / 32 % warpsAcross * (across * 8); }

  template <class TileA, class TileB>
  SECATEUR_GPU void multiply(const TileA& a, const unsigned* meta, const TileB& b) {
    const int low = lane() & 7, second = lane() >> 3 & 1, third = lane() >> 4;
    unsigned fb[across][4];
#pragma unroll
    for (int j = 0; j < across; j++)
      loadMatrices(fb[j], b.at + (firstColumn() + 8 * j + low) * TileB::pitch + 8 * (lane() >> 3));
#pragma unroll
    for (int i = 0; i < down; i++) {
      const int row = firstRow() + 16 * i;
      unsigned fa[4];
      loadMatrices(fa, a.at + (row + 8 * second + low) * TileA::pitch + 8 * third);
      // Lanes beyond the first two of four are not asked.
      const unsigned places =
          __byte_perm(meta[row + lane() / 4], meta[row + lane() / 4 + 8], (lane() & 1) != 0 ? 0x7632 : 0x5410);
#pragma unroll
      for (int j = 0; j < across; j++) multiplyAddSparse(sums[i][j], fa, fb[j], places);
    }
  }
};

SECATEUR_GPU float activate(float x, Activation24 activation) {
  if (activation == Activation24::gelu) return geluExact(x);
  return activation == Activation24::relu && x < 0 ? 0.0f : x;
}

template <class Tile, class LoadB>
SECATEUR_GPU void product24(const Product24Params& p, std::int64_t row0, std::int64_t column0, const LoadB& loadB) {
  using LoadA = MatrixLoader<bf16, true>;
  using CarrierA = Carrier<LoadA, Tile::rows, Tile::depth / 2, Tile::threads>;
  using CarrierB = Carrier<LoadB, Tile::columns, Tile::depth, Tile::threads>;
  __shared__ typename CarrierA::Tile sharedA[2];
  __shared__ typename CarrierB::Tile sharedB[2];
  __shared__ unsigned sharedMeta[2][Tile::rows];
  const LoadA loadA{static_cast<const bf16*>(p.values), p.depth / 2, p.rows, p.depth / 2, true};
  const std::int64_t words = p.depth / 32;
  const std::int64_t metaRow = row0 + threadIdx.x;
  // Rows beyond the last have places too: 0 and 1, like any group of zeros.
  const auto metaAt = [&](std::int64_t k) {
    return threadIdx.x < Tile::rows && metaRow < p.rows ? p.meta[metaRow * words + k / 32] : 0x44444444u;
  };
  Tile tile;
  CarrierA a(loadA, row0);
  CarrierB b(loadB, column0);
  unsigned meta = metaAt(0);
  const auto store = [&](int half) {
    a.store(sharedA[half]);
    b.store(sharedB[half]);
    if (threadIdx.x < Tile::rows) sharedMeta[half][threadIdx.x] = meta;
  };
  a.load(0);
  b.load(0);
  store(0);
  __syncthreads();
  int half = 0;
  for (std::int64_t k = 0; k < p.depth; k += Tile::depth, half ^= 1) {
    const bool more = k + Tile::depth < p.depth;
    if (more) {
      a.load((k + Tile::depth) / 2);
      b.load(k + Tile::depth);
      meta = metaAt(k + Tile::depth);
    }
    // At an edge lanes load differently; the warp multiplies together.
    __syncwarp();
    tile.multiply(sharedA[half], sharedMeta[half], sharedB[half]);
    if (more) store(half ^ 1);
    __syncthreads();
  }
  const auto* bias = static_cast<const bf16*>(p.bias);
#pragma unroll
  for (int i = 0; i < Tile::down; i++) {
#pragma unroll
    for (int j = 0; j < Tile::across; j++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const std::int64_t row = row0 + Tile::firstRow() + 16 * i + 8 * (e / 2) + Tile::lane() / 4;
        const std::int64_t column = column0 + Tile::firstColumn() + 8 * j + Tile::lane() % 4 * 2 + e % 2;
        if (row >= p.rows || column >= p.columns) continue;
        const float sum = tile.sums[i][j][e] + (bias == nullptr ? 0.0f : toFloat(bias[row]));
        static_cast<bf16*>(p.y)[column * p.rows + row] = fromFloat<bf16>(activate(sum, p.activation));
      }
    }
  }
}

template <class Tile>
SECATEUR_GPU void linear24(const Product24Params& p) {
  const std::int64_t row = blockIdx.x % p.tilesDown * Tile::rows, column = blockIdx.x / p.tilesDown * Tile::columns;
  const MatrixLoader<bf16, true> x{static_cast<const bf16*>(p.x), p.depth, p.columns, p.depth, p.packed};
  product24<Tile>(p, row, column, x);
}

template <class Tile>
SECATEUR_GPU void conv2d24(const Product24Params& p) {
  const std::int64_t row = blockIdx.x % p.tilesDown * Tile::rows, column = blockIdx.x / p.tilesDown * Tile::columns;
  const WindowLoader<bf16> x{p.geometry, static_cast<const bf16*>(p.x), p.columns, p.depth, p.packed};
  product24<Tile>(p, row, column, x);
}

using LargeTile = SparseTile<128, 128, 2, 4>;
using SmallTile = SparseTile<64, 64, 2, 2>;

extern "C" {
__global__ void pack24_f32(const __grid_constant__ Pack24Params p) { pack24<float>(p); }
__global__ void pack24_bf16(const __grid_constant__ Pack24Params p) { pack24<bf16>(p); }
__global__ void packBoth24_f32(const __grid_constant__ Pack24Params p) { packBoth24<float>(p); }
__global__ void packBoth24_bf16(const __grid_constant__ Pack24Params p) { packBoth24<bf16>(p); }
__global__ void __launch_bounds__(256, 1) linear24Large(const __grid_constant__ Product24Params p) {
  linear24<LargeTile>(p);
}
__global__ void __launch_bounds__(128, 1) linear24Small(const __grid_constant__ Product24Params p) {
  linear24<SmallTile>(p);
}
__global__ void __launch_bounds__(256, 1) conv2d24Large(const __grid_constant__ Product24Params p) {
  conv2d24<LargeTile>(p);
}
__global__ void __launch_bounds__(128, 1) conv2d24Small(const __grid_constant__ Product24Params p) {
  conv2d24<SmallTile>(p);
}
}

}  // namespace secateur::cuda
