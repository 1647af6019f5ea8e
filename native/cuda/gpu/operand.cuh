// The operands of a matrix product on their way to shared memory. A loader knows where the elements of an operand come
// from, a matrix or the windows of an image:
//
//   using Element;                         float or bf16
//   static constexpr bool alongDepth;      whether neighbours in memory follow the depth, or the rows
//   Place place(std::int64_t row)          what can be worked out once for a row
//   Fetched fetch(Place, row, depth)       16 bytes from there along the contiguous axis, zeros where nothing is
//
// "Row" is the axis of the operand that stays in the result: a row of A, a column of B.
#pragma once
#include "gpu/element.cuh"

namespace secateur::cuda {

template <class T>
using Fetched = Pack<T, perPack<T>>;

template <class T>
SECATEUR_GPU Fetched<T> nothingFetched() {
  Fetched<T> pack;
#pragma unroll
  for (int i = 0; i < perPack<T>; i++) pack.at[i] = T{};
  return pack;
}

// A tile of `rows` x `depth` in shared memory. bf16 stays in the order it has in memory: the warp's matrix loads can
// transpose. f32 stands depth by depth. Lines are padded by 16 bytes, which spreads what a warp reads over the banks.
template <class T, int rows, int depth, bool alongDepth>
struct SharedTile {
  static constexpr bool byRow = alongDepth && sizeof(T) == 2;
  static constexpr int pitch = (byRow ? depth : rows) + perPack<T>;
  alignas(16) T at[(byRow ? rows : depth) * pitch];
};

// The part of a tile that one thread carries: from memory to registers, and later from registers to shared memory, so
// that the loads of the next tile are under way while this one is multiplied.
template <class Loader, int rows, int depth, int threads>
class Carrier {
  using T = typename Loader::Element;
  static constexpr bool alongDepth = Loader::alongDepth;
  static constexpr int width = perPack<T>;
  static constexpr int packs = rows * depth / width;
  static constexpr int each = (packs + threads - 1) / threads;
  // Packs of a line in memory.
  static constexpr int perLine = (alongDepth ? depth : rows) / width;

 public:
  using Tile = SharedTile<T, rows, depth, alongDepth>;

  SECATEUR_GPU Carrier(const Loader& loader, std::int64_t firstRow) : loader_(loader), firstRow_(firstRow) {
#pragma unroll
    for (int i = 0; i < each; i++) places_[i] = loader.place(firstRow + row(i));
  }

  SECATEUR_GPU void load(std::int64_t firstDepth) {
#pragma unroll
    for (int i = 0; i < each; i++) {
      if (holds(i)) packs_[i] = loader_.fetch(places_[i], firstRow_ + row(i), firstDepth + deep(i));
    }
  }

  SECATEUR_GPU void store(Tile& tile) const {
#pragma unroll
    for (int i = 0; i < each; i++) {
      if (!holds(i)) continue;
      if constexpr (Tile::byRow) {
        keepPack(tile.at + row(i) * Tile::pitch + deep(i), packs_[i]);
      } else if constexpr (alongDepth) {
#pragma unroll
        for (int j = 0; j < width; j++) tile.at[(deep(i) + j) * Tile::pitch + row(i)] = packs_[i].at[j];
      } else {
        keepPack(tile.at + deep(i) * Tile::pitch + row(i), packs_[i]);
      }
    }
  }

 private:
  SECATEUR_GPU static int number(int i) { return static_cast<int>(threadIdx.x) + i * threads; }
  SECATEUR_GPU static bool holds(int i) { return packs % threads == 0 || number(i) < packs; }
  SECATEUR_GPU static int line(int i) { return number(i) / perLine; }
  SECATEUR_GPU static int within(int i) { return number(i) % perLine * width; }
  SECATEUR_GPU static int row(int i) { return alongDepth ? line(i) : within(i); }
  SECATEUR_GPU static int deep(int i) { return alongDepth ? within(i) : line(i); }

  const Loader& loader_;
  std::int64_t firstRow_;
  typename Loader::Place places_[each];
  Fetched<T> packs_[each];
};

// A matrix in memory. Element (row, depth) stands at row * stride + depth, or at depth * stride + row.
template <class T, bool followsDepth>
struct MatrixLoader {
  using Element = T;
  static constexpr bool alongDepth = followsDepth;
  using Place = const T*;

  const T* data;
  std::int64_t stride, rows, depth;
  // Whether 16 bytes can be read at once everywhere: the matrix starts at a multiple of them, and so does every line.
  bool packed;

  SECATEUR_GPU Place place(std::int64_t row) const { return data + (alongDepth ? row * stride : row); }

  SECATEUR_GPU Fetched<T> fetch(Place at, std::int64_t row, std::int64_t k) const {
    constexpr int width = perPack<T>;
    const std::int64_t line = alongDepth ? row : k, lines = alongDepth ? rows : depth;
    const std::int64_t along = alongDepth ? k : row, length = alongDepth ? depth : rows;
    if (line >= lines || along >= length) return nothingFetched<T>();
    const T* from = at + (alongDepth ? k : k * stride);
    if (packed && along + width <= length) return loadPack<T, width>(from);
    Fetched<T> pack = nothingFetched<T>();
#pragma unroll
    for (int j = 0; j < width; j++) {
      if (along + j < length) pack.at[j] = from[j];
    }
    return pack;
  }
};

}  // namespace secateur::cuda
