// Products y = f(x weight^T + bias) in tiles, with f in registers: relu, or gelu in one of its forms, which also keeps
// what it is applied to for its gradient.
#include "linearActivation.h"

#include "gpu/gelu.cuh"
#include "gpu/product.cuh"

namespace secateur::cuda {

struct Gelu {
  static constexpr bool keeps = true;
  SECATEUR_GPU static float of(const ProductOutput&, float x) { return geluExact(x); }
};
struct GeluTanh {
  static constexpr bool keeps = true;
  SECATEUR_GPU static float of(const ProductOutput&, float x) { return geluTanhForm(x); }
};

template <class Tile, class After>
SECATEUR_GPU void linear(const LinearParams& p) {
  using T = typename Tile::Element;
  const std::int64_t depth = p.grid.depth;
  const MatrixLoader<T, true> x{static_cast<const T*>(p.x), depth, p.grid.rows, depth, p.packedX};
  const MatrixLoader<T, true> weight{static_cast<const T*>(p.weight), depth, p.grid.columns, depth, p.packedWeight};
  multiplyTile<Tile, After>(p.grid, p.out, placeOf<Tile>(p.grid), x, weight);
}

#define LINEAR(name, T, large, After)                                        \
  extern "C" __global__ void __launch_bounds__(TileOf<T, large>::threads, 1) \
      name(const __grid_constant__ LinearParams p) {                         \
    linear<TileOf<T, large>, After>(p);                                      \
  }
#define LINEARS(name, After)                   \
  LINEAR(name##Large_f32, float, true, After)  \
  LINEAR(name##Small_f32, float, false, After) \
  LINEAR(name##Large_bf16, bf16, true, After)  \
  LINEAR(name##Small_bf16, bf16, false, After)
#define SUMS(name, After)                                                                                           \
  extern "C" __global__ void name##_f32(const __grid_constant__ ProductSumParams p) { sumPieces<float, After>(p); } \
  extern "C" __global__ void name##_bf16(const __grid_constant__ ProductSumParams p) { sumPieces<bf16, After>(p); }

LINEARS(linearRelu, PerhapsRelu)
LINEARS(linearGelu, Gelu)
LINEARS(linearGeluTanh, GeluTanh)
SUMS(linearGeluSum, Gelu)
SUMS(linearGeluTanhSum, GeluTanh)

}  // namespace secateur::cuda
