// Matrix products c = a b (+ bias), with either operand transposed and leading axes that broadcast. Four kernels a
// dtype and tile size: which operand lies along the depth decides how it is brought to shared memory.
#include "matmul.h"

#include "gpu/product.cuh"

namespace secateur::cuda {

SECATEUR_GPU std::int64_t matrixOf(const MatmulParams& p, const MatmulOperand& o, std::int64_t q) {
  std::int64_t at = 0;
#pragma unroll
  for (int d = 3; d >= 0; d--) {
    at += q % p.batchDims[d] * o.steps[d];
    q /= p.batchDims[d];
  }
  return at;
}

template <class Tile, bool transA, bool transB>
SECATEUR_GPU void matmul(const MatmulParams& p) {
  using T = typename Tile::Element;
  const TilePlace place = placeOf<Tile>(p.grid);
  const T* a = static_cast<const T*>(p.a.data) + matrixOf(p, p.a, place.batch) * p.a.matrix;
  const T* b = static_cast<const T*>(p.b.data) + matrixOf(p, p.b, place.batch) * p.b.matrix;
  const MatrixLoader<T, !transA> loadA{a, p.a.stride, p.grid.rows, p.grid.depth, p.a.packed};
  const MatrixLoader<T, transB> loadB{b, p.b.stride, p.grid.columns, p.grid.depth, p.b.packed};
  multiplyTile<Tile>(p.grid, p.out, place, loadA, loadB);
}

#define MATMUL(name, T, large, transA, transB)                               \
  extern "C" __global__ void __launch_bounds__(TileOf<T, large>::threads, 1) \
      name(const __grid_constant__ MatmulParams p) {                         \
    matmul<TileOf<T, large>, transA, transB>(p);                             \
  }
#define MATMULS(T, suffix)                             \
  MATMUL(matmulLarge_##suffix, T, true, false, false)  \
  MATMUL(matmulLargeB_##suffix, T, true, false, true)  \
  MATMUL(matmulLargeA_##suffix, T, true, true, false)  \
  MATMUL(matmulLargeAB_##suffix, T, true, true, true)  \
  MATMUL(matmulSmall_##suffix, T, false, false, false) \
  MATMUL(matmulSmallB_##suffix, T, false, false, true) \
  MATMUL(matmulSmallA_##suffix, T, false, true, false) \
  MATMUL(matmulSmallAB_##suffix, T, false, true, true)

MATMULS(float, f32)
MATMULS(bf16, bf16)

}  // namespace secateur::cuda
