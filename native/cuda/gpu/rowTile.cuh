// Rows of a matrix in shared memory, brought there by asynchronous copies: 16 bytes each, straight from memory, while
// the threads compute something else.
#pragma once
#include "gpu/element.cuh"
#include "gpu/ptx.cuh"

namespace secateur::cuda {

// Lines are padded by 16 bytes, which spreads what a warp reads over the banks.
template <class T, int rows, int width>
struct RowTile {
  static constexpr int pitch = width + perPack<T>;
  alignas(16) T at[rows * pitch];

  SECATEUR_GPU const T* line(int row) const { return at + row * pitch; }

  // Begins to bring `width` columns from `column` on of the rows from `first` on, of a matrix of count x d; zeros stand
  // where it has none. `packed`: every line starts at a multiple of 16 bytes. Called by all `threads` of a block; the
  // tile is there after commitCopies, waitCopies and a barrier.
  template <int threads>
  SECATEUR_GPU void stage(const T* matrix, std::int64_t first, std::int64_t count, int column, int d, bool packed) {
    constexpr int perLine = width / perPack<T>;
#pragma unroll
    for (int i = threadIdx.x; i < rows * perLine; i += threads) {
      const int row = i / perLine, within = i % perLine * perPack<T>;
      const int from = column + within;
      const bool there = first + row < count && from < d;
      T* to = at + row * pitch + within;
      const T* source = there ? matrix + (first + row) * d + from : matrix;
      if (packed) {
        copyAsync(to, source, there ? 16 : 0);
      } else {
        Pack<T, perPack<T>> pack;
#pragma unroll
        for (int j = 0; j < perPack<T>; j++) pack.at[j] = there && from + j < d ? source[j] : T{};
        keepPack(to, pack);
      }
    }
  }
};

}  // namespace secateur::cuda
