// Parameters of the convolutions. Activations are [N, H, W, C], weights [O, kh, kw, C / groups].
#pragma once
#include "gpu/product.h"
#include "gpu/strided.h"

namespace secateur::cuda {

struct ConvGeometry {
  std::int64_t height, width, channels;           // of x
  std::int64_t outHeight, outWidth, outChannels;  // of y
  std::int64_t groupChannels, groupOutChannels;   // of one group
  std::int64_t kernelHeight, kernelWidth;
  int strideY, strideX, paddingY, paddingX, dilationY, dilationX;
  // Divisors of indices: over pixels of x and of y, over the kernel, over the channels of a group.
  FastDivide perRow, perImage, outPerRow, outPerImage, perKernelRow, perGroup, perOutGroup, perStrideY, perStrideX;
};

// As a product in tiles, one for each group.
struct ConvParams {
  ProductGrid grid;
  ProductOutput out;
  ConvGeometry geometry;
  const void* x;
  const void* weight;
  const void* g;
  bool packedX, packedWeight, packedG;  // whether 16 bytes can be read at once
};

// Depthwise: every group has one input channel and `multiplier` output channels.
struct DepthwiseParams {
  ConvGeometry geometry;
  const void* x;
  const void* weight;
  const void* bias;
  const void* g;
  void* out;
  float* partial;  // of the weight's gradient: [chunks, kh, kw, O]
  std::int64_t n;  // elements of the output, or pixels of y
  std::int64_t chunks;
  bool accumulate;
  bool relu = false;  // forward only
};

}  // namespace secateur::cuda
