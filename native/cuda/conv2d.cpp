#include "conv2d.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "host/launch.h"
#include "host/product.h"
#include "host/strided.h"
#include "ops/conv2d.h"
#include "vendor/conv2d.h"

CUDA_IMAGE(conv2d)

namespace secateur::cuda {

namespace {

template <class Args>
ConvGeometry geometryOf(const Args& a, const std::int64_t* x, const std::int64_t* y, const std::int64_t* weight) {
  ConvGeometry g{};
  if (x[0] * x[1] * x[2] >> 31 != 0 || y[0] * y[1] * y[2] >> 31 != 0)
    throw Error("ERR_CUDA", "conv2d: more than 2^31 pixels in a batch. Use a smaller batch.");
  g.height = x[1];
  g.width = x[2];
  g.channels = x[3];
  g.outHeight = y[1];
  g.outWidth = y[2];
  g.outChannels = y[3];
  g.groupChannels = x[3] / a.groups;
  g.groupOutChannels = y[3] / a.groups;
  g.kernelHeight = weight[1];
  g.kernelWidth = weight[2];
  g.strideY = static_cast<int>(a.stride[0]);
  g.strideX = static_cast<int>(a.stride[1]);
  g.paddingY = static_cast<int>(a.padding[0]);
  g.paddingX = static_cast<int>(a.padding[1]);
  g.dilationY = static_cast<int>(a.dilation[0]);
  g.dilationX = static_cast<int>(a.dilation[1]);
  g.perRow = fastDivide(x[2]);
  g.perImage = fastDivide(x[1] * x[2]);
  g.outPerRow = fastDivide(y[2]);
  g.outPerImage = fastDivide(y[1] * y[2]);
  g.perKernelRow = fastDivide(weight[2]);
  g.perGroup = fastDivide(g.groupChannels);
  g.perOutGroup = fastDivide(std::max<std::int64_t>(g.groupOutChannels, 1));
  g.perStrideY = fastDivide(a.stride[0]);
  g.perStrideX = fastDivide(a.stride[1]);
  return g;
}

bool isDepthwise(const ConvGeometry& g) { return g.groupChannels == 1 && g.channels > 1; }

// Whether packs of 16 bytes at channels of a group lie in one piece.
bool groupsPacked(DType dtype, const void* data, std::int64_t channels, std::int64_t ofGroup) {
  return readsPacked(dtype, data, channels) && readsPacked(dtype, data, ofGroup);
}

// The large and the small kernel of an op.
struct Sizes {
  Kernels large, small;
};

void product(Sizes& kernels, DType dtype, ConvParams& p, std::int64_t groups, std::int64_t rows, std::int64_t columns,
             std::int64_t depth) {
  const ProductPlan plan = planProduct(dtype, groups, rows, columns, depth);
  p.grid = plan.grid;
  p.out.partial = partialResults(plan, groups);
  launch((plan.large ? kernels.large : kernels.small)[dtype], plan.blocks, plan.threads, p);
  sumPieces(dtype, plan, p.out, groups);
}

constexpr unsigned threads = 256;

template <class Args>
void forward(const Args& a, bool relu) {
  static Sizes kernels{{images::conv2d, "conv2dLarge"}, {images::conv2d, "conv2dSmall"}};
  static Kernels direct(images::conv2d, "depthwise");
  const ConvGeometry g = geometryOf(a, a.x.dims, a.y.dims, a.weight.dims);
  const void* bias = a.bias.present ? a.bias.data : nullptr;
  const DType dtype = a.y.dtype;
  if (isDepthwise(g)) {
    const std::int64_t n = a.y.size();
    launch(direct[dtype], elementBlocks(n), threads,
           DepthwiseParams{g, a.x.data, a.weight.data, bias, nullptr, a.y.data, nullptr, n, 1, a.accumulate, relu});
    return;
  }
  const std::int64_t depth = g.kernelHeight * g.kernelWidth * g.groupChannels;
  ConvParams p{};
  p.geometry = g;
  p.x = a.x.data;
  p.weight = a.weight.data;
  p.packedX = groupsPacked(dtype, a.x.data, g.channels, g.groupChannels);
  p.packedWeight = readsPacked(dtype, a.weight.data, depth);
  p.out = {a.y.data, bias, nullptr, g.groupOutChannels, g.outChannels, g.groupOutChannels, a.accumulate, relu};
  product(kernels, dtype, p, a.groups, a.y.dims[0] * g.outHeight * g.outWidth, g.groupOutChannels, depth);
}

}  // namespace

KERNEL(conv2d, F32 | BF16)(const Conv2dArgs& a) {
  if (a.y.size() > 0 && !cudnnConvForward(a)) forward(a, false);
}

KERNEL(conv2dRelu, F32 | BF16)(const Conv2dReluArgs& a) {
  if (a.y.size() > 0 && !cudnnConvReluForward(a)) forward(a, true);
}

KERNEL(conv2dGradInput, F32 | BF16)(const Conv2dGradInputArgs& a) {
  if (a.dx.size() == 0 || cudnnConvGradInput(a)) return;
  static Sizes kernels{{images::conv2d, "conv2dGradInputLarge"}, {images::conv2d, "conv2dGradInputSmall"}};
  static Kernels direct(images::conv2d, "depthwiseGradInput");
  const ConvGeometry g = geometryOf(a, a.dx.dims, a.g.dims, a.weight.dims);
  const DType dtype = a.dx.dtype;
  if (isDepthwise(g)) {
    const std::int64_t n = a.dx.size();
    launch(direct[dtype], elementBlocks(n), threads,
           DepthwiseParams{g, nullptr, a.weight.data, nullptr, a.g.data, a.dx.data, nullptr, n, 1, a.accumulate});
    return;
  }
  ConvParams p{};
  p.geometry = g;
  p.g = a.g.data;
  p.weight = a.weight.data;
  p.packedG = groupsPacked(dtype, a.g.data, g.outChannels, g.groupOutChannels);
  p.packedWeight = readsPacked(dtype, a.weight.data, g.groupChannels);
  p.out = {a.dx.data, nullptr, nullptr, g.groupChannels, g.channels, 0, a.accumulate};
  product(kernels, dtype, p, a.groups, a.dx.dims[0] * g.height * g.width, g.groupChannels,
          g.kernelHeight * g.kernelWidth * g.groupOutChannels);
}

KERNEL(conv2dGradWeight, F32 | BF16)(const Conv2dGradWeightArgs& a) {
  if (a.dw.size() == 0 || cudnnConvGradWeight(a)) return;
  static Sizes kernels{{images::conv2d, "conv2dGradWeightLarge"}, {images::conv2d, "conv2dGradWeightSmall"}};
  static Kernels direct(images::conv2d, "depthwiseGradWeight");
  static Kernels sum(images::conv2d, "depthwiseWeightSum");
  const ConvGeometry g = geometryOf(a, a.x.dims, a.g.dims, a.dw.dims);
  const DType dtype = a.dw.dtype;
  const std::int64_t pixels = a.g.dims[0] * g.outHeight * g.outWidth;
  const std::int64_t filter = g.kernelHeight * g.kernelWidth * g.groupChannels;
  if (isDepthwise(g)) {
    const std::int64_t entries = filter * g.outChannels, blocks = (entries + threads - 1) / threads;
    // Enough chunks to fill the device, none shorter than 64 pixels.
    const std::int64_t wanted = 8 * std::int64_t{multiprocessors()} / blocks + 1;
    const std::int64_t chunks = std::clamp<std::int64_t>(std::min(wanted, pixels / 64), 1, 65535);
    const DepthwiseParams p{
        g,      a.x.data, nullptr,     nullptr, a.g.data, a.dw.data, scratch<float>(chunks * entries),
        pixels, chunks,   a.accumulate};
    launch(direct[dtype], {blocks, chunks}, threads, p);
    launch(sum[dtype], elementBlocks(entries, threads), threads, p);
    return;
  }
  ConvParams p{};
  p.geometry = g;
  p.x = a.x.data;
  p.g = a.g.data;
  p.packedX = groupsPacked(dtype, a.x.data, g.channels, g.groupChannels);
  p.packedG = groupsPacked(dtype, a.g.data, g.outChannels, g.groupOutChannels);
  p.out = {a.dw.data, nullptr, nullptr, g.groupOutChannels * filter, filter, 0, a.accumulate};
  product(kernels, dtype, p, a.groups, g.groupOutChannels, filter, pixels);
}

}  // namespace secateur::cuda
