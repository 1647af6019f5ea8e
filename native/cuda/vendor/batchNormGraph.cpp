// Batch norm and its gradients as one operation each.
#include "vendor/graph.h"

namespace secateur::cuda::dnn {

std::vector<std::int64_t> BatchNormShape::key() const {
  // Another length than that of a convolution or of attention.
  return {std::int64_t{gradient}, static_cast<std::int64_t>(dtype), images, height, width, channels, std::int64_t{1}};
}

Graph::Graph(const BatchNormShape& s) {
  const DnnDataType type = s.dtype == DType::bf16 ? DnnDataType::bf16 : DnnDataType::f32;
  const std::int64_t row = s.width * s.channels;
  const auto image = [&](TensorNumber number) {
    tensor(number, type, {s.images, s.channels, s.height, s.width}, {s.height * row, 1, row, s.channels});
  };
  const auto perChannel = [&](std::initializer_list<TensorNumber> numbers) {
    for (const TensorNumber number : numbers)
      tensor(number, DnnDataType::f32, {1, s.channels, 1, 1}, {s.channels, 1, s.channels, s.channels});
  };
  const auto value = [&](TensorNumber number) {
    tensor(number, DnnDataType::f32, {1, 1, 1, 1}, {1, 1, 1, 1}, Place::value);
  };
  image(numberX);
  perChannel({numberW, numberMean, numberRstd});
  if (s.gradient) {
    image(numberDy);
    image(numberDx);
    perChannel({numberDw, numberDbias});
    Descriptor operation(DnnDescriptorType::normGrad);
    operation.set(DnnAttribute::normGradMode, DnnNorm::batch)
        .set(DnnAttribute::normGradX, of(numberX))
        .set(DnnAttribute::normGradMean, of(numberMean))
        .set(DnnAttribute::normGradRstd, of(numberRstd))
        .set(DnnAttribute::normGradDy, of(numberDy))
        .set(DnnAttribute::normGradWeight, of(numberW))
        .set(DnnAttribute::normGradDweight, of(numberDw))
        .set(DnnAttribute::normGradDbias, of(numberDbias))
        .set(DnnAttribute::normGradDx, of(numberDx))
        .finalize("the gradients of batch norm");
    operations_.push_back(std::move(operation));
  } else {
    image(numberY);
    perChannel({numberBias, numberMeanBefore, numberVarBefore, numberMeanAfter, numberVarAfter});
    value(numberEps);
    value(numberMomentum);
    Descriptor operation(DnnDescriptorType::norm);
    operation.set(DnnAttribute::normMode, DnnNorm::batch)
        .set(DnnAttribute::normPhase, DnnNormPhase::training)
        .set(DnnAttribute::normX, of(numberX))
        .set(DnnAttribute::normMean, of(numberMean))
        .set(DnnAttribute::normRstd, of(numberRstd))
        .set(DnnAttribute::normWeight, of(numberW))
        .set(DnnAttribute::normBias, of(numberBias))
        .set(DnnAttribute::normEps, of(numberEps))
        .set(DnnAttribute::normMomentum, of(numberMomentum))
        .set(DnnAttribute::normMeanBefore, of(numberMeanBefore))
        .set(DnnAttribute::normVarBefore, of(numberVarBefore))
        .set(DnnAttribute::normMeanAfter, of(numberMeanAfter))
        .set(DnnAttribute::normVarAfter, of(numberVarAfter))
        .set(DnnAttribute::normY, of(numberY))
        .finalize("batch norm");
    operations_.push_back(std::move(operation));
  }
  finish();
}

}  // namespace secateur::cuda::dnn
