#include "vendor/graph.h"

#include <utility>

#include "core/error.h"

namespace secateur::cuda::dnn {

namespace {

using Extents = std::vector<std::int64_t>;

DnnDataType typeOf(DType dtype) { return dtype == DType::bf16 ? DnnDataType::bf16 : DnnDataType::f32; }

// cuDNN names axes in the order N, C, H, W, wherever they lie in memory.
struct ChannelsLast {
  Extents extents, strides;
  ChannelsLast(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c)
      : extents{n, c, h, w}, strides{h * w * c, 1, w * c, c} {}
};

}  // namespace

std::vector<std::int64_t> ConvolutionShape::key() const {
  return {static_cast<std::int64_t>(direction),
          static_cast<std::int64_t>(dtype),
          images,
          height,
          width,
          channels,
          outHeight,
          outWidth,
          outChannels,
          kernelHeight,
          kernelWidth,
          groups,
          stride[0],
          stride[1],
          padding[0],
          padding[1],
          dilation[0],
          dilation[1],
          static_cast<std::int64_t>(bias),
          static_cast<std::int64_t>(relu),
          static_cast<std::int64_t>(highest)};
}

std::vector<std::int64_t> AttentionShape::key() const {
  // Shorter than a convolution's: the two never meet.
  return {batch, heads, queries,
          keys,  width, std::int64_t{gradient} + 2 * std::int64_t{causal} + 4 * std::int64_t{bias}};
}

void Graph::tensor(TensorNumber number, DnnDataType type, const Extents& extents, const Extents& strides, Place place) {
  Descriptor d(DnnDescriptorType::tensor);
  d.set(DnnAttribute::tensorNumber, number)
      .set(DnnAttribute::tensorType, type)
      .set(DnnAttribute::tensorDimensions, extents)
      .set(DnnAttribute::tensorStrides, strides)
      .set(DnnAttribute::tensorAlignment, dnn::tensorAlignment)
      .set(DnnAttribute::tensorVirtual, place == Place::inside)
      .set(DnnAttribute::tensorByValue, place == Place::value)
      .finalize("a tensor");
  tensors_.emplace_back(number, std::move(d));
}

const Descriptor& Graph::of(TensorNumber number) const {
  for (const auto& [name, descriptor] : tensors_)
    if (name == number) return descriptor;
  throw Error("ERR_CUDA", "the graph has no tensor " + std::to_string(number));
}

void Graph::pointwise(DnnPointwiseMode f, std::initializer_list<TensorNumber> operands, TensorNumber y) {
  // A comparison computes what is true.
  const auto precision = f == DnnPointwiseMode::notBelow ? DnnDataType::boolean : DnnDataType::f32;
  Descriptor mode(DnnDescriptorType::pointwise);
  mode.set(DnnAttribute::pointwiseMode, f).set(DnnAttribute::pointwisePrecision, precision);
  if (f == DnnPointwiseMode::relu) mode.set(DnnAttribute::pointwiseNan, DnnNan::propagate);
  mode.finalize("a pointwise function");
  apply(mode, operands, y);
  parts_.push_back(std::move(mode));
}

void Graph::placeAlong(std::int64_t axis, TensorNumber x, TensorNumber y) {
  Descriptor mode(DnnDescriptorType::pointwise);
  mode.set(DnnAttribute::pointwiseMode, DnnPointwiseMode::placeAlong)
      .set(DnnAttribute::pointwisePrecision, DnnDataType::i32)
      .set(DnnAttribute::pointwiseAxis, axis)
      .finalize("places along an axis");
  apply(mode, {x}, y);
  parts_.push_back(std::move(mode));
}

void Graph::apply(const Descriptor& f, std::initializer_list<TensorNumber> operands, TensorNumber y) {
  constexpr DnnAttribute places[] = {DnnAttribute::operationPointwiseX, DnnAttribute::operationPointwiseB,
                                     DnnAttribute::operationPointwiseT};
  Descriptor operation(DnnDescriptorType::operationPointwise);
  operation.set(DnnAttribute::operationPointwiseMode, f).set(DnnAttribute::operationPointwiseY, of(y));
  for (std::size_t i = 0; i < operands.size(); i++) operation.set(places[i], of(operands.begin()[i]));
  operation.finalize("applying a pointwise function");
  operations_.push_back(std::move(operation));
}

void Graph::multiply(TensorNumber a, TensorNumber b, TensorNumber c) {
  Descriptor how(DnnDescriptorType::matmul);
  how.set(DnnAttribute::matmulPrecision, DnnDataType::f32).finalize("a product");
  Descriptor operation(DnnDescriptorType::operationMatmul);
  operation.set(DnnAttribute::operationMatmulHow, how)
      .set(DnnAttribute::operationMatmulA, of(a))
      .set(DnnAttribute::operationMatmulB, of(b))
      .set(DnnAttribute::operationMatmulC, of(c))
      .finalize("multiplying");
  operations_.push_back(std::move(operation));
  parts_.push_back(std::move(how));
}

void Graph::reduce(DnnReduction f, TensorNumber x, TensorNumber y) {
  Descriptor how(DnnDescriptorType::reduction);
  how.set(DnnAttribute::reductionOperator, f)
      .set(DnnAttribute::reductionPrecision, DnnDataType::f32)
      .finalize("a reduction");
  Descriptor operation(DnnDescriptorType::operationReduction);
  operation.set(DnnAttribute::operationReductionHow, how)
      .set(DnnAttribute::operationReductionX, of(x))
      .set(DnnAttribute::operationReductionY, of(y))
      .finalize("reducing");
  operations_.push_back(std::move(operation));
  parts_.push_back(std::move(how));
}

void Graph::reshape(TensorNumber x, TensorNumber y) {
  Descriptor operation(DnnDescriptorType::operationReshape);
  operation.set(DnnAttribute::reshapeX, of(x)).set(DnnAttribute::reshapeY, of(y)).finalize("a reshape");
  operations_.push_back(std::move(operation));
}

void Graph::finish() { graph_.set(DnnAttribute::graphOperations, operations_).finalize("a graph"); }

Graph::Graph(const ConvolutionShape& s) {
  const DnnDataType type = typeOf(s.dtype);
  const ChannelsLast x(s.images, s.height, s.width, s.channels);
  const ChannelsLast w(s.outChannels, s.kernelHeight, s.kernelWidth, s.channels / s.groups);
  const ChannelsLast y(s.images, s.outHeight, s.outWidth, s.outChannels);
  tensor(numberX, type, x.extents, x.strides);
  tensor(numberW, type, w.extents, w.strides);
  tensor(numberY, type, y.extents, y.strides);

  Descriptor geometry(DnnDescriptorType::convolution);
  const Extents padding{s.padding[0], s.padding[1]};
  geometry.set(DnnAttribute::convolutionPrecision, DnnDataType::f32)
      .set(DnnAttribute::convolutionMode, DnnConvolutionMode::crossCorrelation)
      .set(DnnAttribute::convolutionSpatialAxes, std::int64_t{2})
      .set(DnnAttribute::convolutionPaddingBefore, padding)
      .set(DnnAttribute::convolutionPaddingAfter, padding)
      .set(DnnAttribute::convolutionStrides, Extents{s.stride[0], s.stride[1]})
      .set(DnnAttribute::convolutionDilations, Extents{s.dilation[0], s.dilation[1]})
      .finalize("a convolution");

  switch (s.direction) {
    case Direction::forward: {
      if (s.bias) tensor(numberSum, DnnDataType::f32, y.extents, y.strides, Place::inside);
      Descriptor operation(DnnDescriptorType::convolutionForward);
      operation.set(DnnAttribute::forwardConvolution, geometry)
          .set(DnnAttribute::forwardX, of(numberX))
          .set(DnnAttribute::forwardW, of(numberW))
          .set(DnnAttribute::forwardY, of(s.bias ? numberSum : numberY))
          .set(DnnAttribute::forwardAlpha, 1.0f)
          .set(DnnAttribute::forwardBeta, 0.0f)
          .finalize("a convolution's forward pass");
      operations_.push_back(std::move(operation));
      break;
    }
    case Direction::gradInput: {
      Descriptor operation(DnnDescriptorType::convolutionGradInput);
      operation.set(DnnAttribute::gradInputConvolution, geometry)
          .set(DnnAttribute::gradInputDx, of(numberX))
          .set(DnnAttribute::gradInputW, of(numberW))
          .set(DnnAttribute::gradInputDy, of(numberY))
          .set(DnnAttribute::gradInputAlpha, 1.0f)
          .set(DnnAttribute::gradInputBeta, 0.0f)
          .finalize("a convolution's gradient of its input");
      operations_.push_back(std::move(operation));
      break;
    }
    case Direction::gradWeight: {
      Descriptor operation(DnnDescriptorType::convolutionGradWeight);
      operation.set(DnnAttribute::gradWeightConvolution, geometry)
          .set(DnnAttribute::gradWeightX, of(numberX))
          .set(DnnAttribute::gradWeightDw, of(numberW))
          .set(DnnAttribute::gradWeightDy, of(numberY))
          .set(DnnAttribute::gradWeightAlpha, 1.0f)
          .set(DnnAttribute::gradWeightBeta, 0.0f)
          .finalize("a convolution's gradient of its weight");
      operations_.push_back(std::move(operation));
      break;
    }
  }
  parts_.push_back(std::move(geometry));

  if (s.bias) {
    const ChannelsLast b(1, 1, 1, s.outChannels);
    tensor(numberBias, type, b.extents, b.strides);
    if (s.relu) tensor(numberBiased, DnnDataType::f32, y.extents, y.strides, Place::inside);
    pointwise(DnnPointwiseMode::add, {numberSum, numberBias}, s.relu ? numberBiased : numberY);
    if (s.relu) pointwise(DnnPointwiseMode::relu, {numberBiased}, numberY);
  }
  finish();
}

}  // namespace secateur::cuda::dnn
