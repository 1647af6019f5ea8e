#include "sparse24.h"

#include "host/launch.h"
#include "host/product.h"
#include "host/strided.h"
#include "ops/sparse24.h"

CUDA_IMAGE(sparse24)

namespace secateur::cuda {

namespace {

template <class Args>
Activation24 activationOf(const Args& a) {
  return a.activation == Args::Activation::relu   ? Activation24::relu
         : a.activation == Args::Activation::gelu ? Activation24::gelu
                                                  : Activation24::none;
}

template <class Args>
Product24Params product(const Args& a) {
  Product24Params p{};
  p.values = a.values.data;
  p.meta = a.meta.template as<std::uint32_t>();
  p.x = a.x.data;
  p.bias = a.bias.present ? a.bias.data : nullptr;
  p.y = a.y.data;
  p.rows = a.values.dims[0];
  p.columns = a.y.size() / p.rows;
  p.depth = 2 * a.values.dims[1];
  p.activation = activationOf(a);
  return p;
}

// In the tiles asked for, or in those that a dense product would have.
template <class Tile>
void launchProduct(Kernel& large, Kernel& small, Product24Params& p, Tile tile) {
  const bool isLarge =
      tile == Tile::large || (tile == Tile::byRule && planProduct(DType::bf16, 1, p.rows, p.columns, p.depth).large);
  const std::int64_t side = isLarge ? 128 : 64;
  p.tilesDown = (p.rows + side - 1) / side;
  p.tilesAcross = (p.columns + side - 1) / side;
  launch(isLarge ? large : small, p.tilesDown * p.tilesAcross, isLarge ? 256 : 128, p);
}

}  // namespace

KERNEL(pack24, F32 | BF16)(const Pack24Args& a) {
  if (a.w.size() == 0) return;
  static Kernels rows(images::sparse24, "pack24"), both(images::sparse24, "packBoth24");
  Pack24Params p{a.w.data, a.values.data, a.meta.as<std::uint32_t>(), nullptr, nullptr, a.w.dims[0], 0};
  p.columns = a.w.size() / p.rows;
  if (!a.transposed) return launch(rows[a.w.dtype], elementBlocks(a.w.size()), 256, p);
  p.valuesT = a.valuesT.data;
  p.metaT = a.metaT.as<std::uint32_t>();
  launch(both[a.w.dtype], elementBlocks(a.w.size(), 4096), 128, p);
}

KERNEL(linear24, BF16)(const Linear24Args& a) {
  if (a.y.size() == 0) return;
  static Kernel large(images::sparse24, "linear24Large"), small(images::sparse24, "linear24Small");
  Product24Params p = product(a);
  p.packed = readsPacked(DType::bf16, a.x.data, p.depth);
  launchProduct(large, small, p, a.tile);
}

KERNEL(conv2d24, BF16)(const Conv2d24Args& a) {
  if (a.y.size() == 0) return;
  static Kernel large(images::sparse24, "conv2d24Large"), small(images::sparse24, "conv2d24Small");
  Product24Params p = product(a);
  ConvGeometry& g = p.geometry;
  g.height = a.x.dims[1];
  g.width = a.x.dims[2];
  g.channels = g.groupChannels = a.x.dims[3];
  g.outHeight = a.y.dims[1];
  g.outWidth = a.y.dims[2];
  g.outChannels = g.groupOutChannels = p.rows;
  g.kernelHeight = a.kernel[0];
  g.kernelWidth = a.kernel[1];
  g.strideY = static_cast<int>(a.stride[0]);
  g.strideX = static_cast<int>(a.stride[1]);
  g.paddingY = static_cast<int>(a.padding[0]);
  g.paddingX = static_cast<int>(a.padding[1]);
  g.dilationY = static_cast<int>(a.dilation[0]);
  g.dilationX = static_cast<int>(a.dilation[1]);
  g.outPerRow = fastDivide(g.outWidth);
  g.outPerImage = fastDivide(g.outHeight * g.outWidth);
  g.perKernelRow = fastDivide(g.kernelWidth);
  g.perGroup = fastDivide(g.channels);
  p.packed = readsPacked(DType::bf16, a.x.data, g.channels);
  launchProduct(large, small, p, a.tile);
}

}  // namespace secateur::cuda
