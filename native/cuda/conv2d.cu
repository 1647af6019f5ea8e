// Convolutions as matrix products in tiles (gpu/product.cuh) over windows that are found, not copied (gpu/window.cuh):
//
//   forward          y  [pixels of y, O]          = windows [pixels of y, taps x C]   weight^T [taps x C, O]
//   gradient for x   dx [pixels of x, C]          = windows [pixels of x, taps x O]   weight   [taps x O, C]
//   and for weight   dw [O, taps x C]             = g^T     [O, pixels of y]          windows  [pixels of y, taps x C]
//
// Each group is a batch of its own. Where a group has one input channel a product would have a depth of one kernel:
// depthwise.cuh does those.
#include "conv2d.h"

#include "gpu/depthwise.cuh"
#include "gpu/product.cuh"
#include "gpu/window.cuh"

namespace secateur::cuda {

template <class Tile>
SECATEUR_GPU void conv2d(const ConvParams& p) {
  using T = typename Tile::Element;
  const ConvGeometry& g = p.geometry;
  const TilePlace place = placeOf<Tile>(p.grid);
  const WindowLoader<T> windows{g, static_cast<const T*>(p.x) + place.batch * g.groupChannels, p.grid.rows,
                                p.grid.depth, p.packedX};
  const MatrixLoader<T, true> weight{static_cast<const T*>(p.weight) + place.batch * g.groupOutChannels * p.grid.depth,
                                     p.grid.depth, p.grid.columns, p.grid.depth, p.packedWeight};
  multiplyTile<Tile>(p.grid, p.out, place, windows, weight);
}

template <class Tile>
SECATEUR_GPU void conv2dGradInput(const ConvParams& p) {
  using T = typename Tile::Element;
  const ConvGeometry& g = p.geometry;
  const TilePlace place = placeOf<Tile>(p.grid);
  const std::int64_t filter = g.kernelHeight * g.kernelWidth * g.groupChannels;
  const TransposedLoader<T> windows{g, static_cast<const T*>(p.g) + place.batch * g.groupOutChannels, p.grid.rows,
                                    p.grid.depth, p.packedG};
  const FilterLoader<T> weight{g, static_cast<const T*>(p.weight) + place.batch * g.groupOutChannels * filter,
                               p.grid.columns, p.grid.depth, p.packedWeight};
  multiplyTile<Tile>(p.grid, p.out, place, windows, weight);
}

template <class Tile>
SECATEUR_GPU void conv2dGradWeight(const ConvParams& p) {
  using T = typename Tile::Element;
  const ConvGeometry& g = p.geometry;
  const TilePlace place = placeOf<Tile>(p.grid);
  const MatrixLoader<T, false> gradient{static_cast<const T*>(p.g) + place.batch * g.groupOutChannels, g.outChannels,
                                        p.grid.rows, p.grid.depth, p.packedG};
  const TapLoader<T> windows{g, static_cast<const T*>(p.x) + place.batch * g.groupChannels, p.grid.columns,
                             p.grid.depth, p.packedX};
  multiplyTile<Tile>(p.grid, p.out, place, gradient, windows);
}

#define CONVOLUTION(op, size, suffix, T, large)                              \
  extern "C" __global__ void __launch_bounds__(TileOf<T, large>::threads, 1) \
      op##size##_##suffix(const __grid_constant__ ConvParams p) {            \
    op<TileOf<T, large>>(p);                                                 \
  }
#define CONVOLUTIONS(op)                    \
  CONVOLUTION(op, Large, f32, float, true)  \
  CONVOLUTION(op, Small, f32, float, false) \
  CONVOLUTION(op, Large, bf16, bf16, true)  \
  CONVOLUTION(op, Small, bf16, bf16, false)

CONVOLUTIONS(conv2d)
CONVOLUTIONS(conv2dGradInput)
CONVOLUTIONS(conv2dGradWeight)

#define DEPTHWISE(op)                                                                              \
  extern "C" __global__ void op##_f32(const __grid_constant__ DepthwiseParams p) { op<float>(p); } \
  extern "C" __global__ void op##_bf16(const __grid_constant__ DepthwiseParams p) { op<bf16>(p); }

DEPTHWISE(depthwise)
DEPTHWISE(depthwiseGradInput)
DEPTHWISE(depthwiseGradWeight)
DEPTHWISE(depthwiseWeightSum)

}  // namespace secateur::cuda
