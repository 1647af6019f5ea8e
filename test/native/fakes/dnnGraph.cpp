#include "dnnGraph.h"

#include <set>

#include "simulatedGpu.h"

namespace fakes {

namespace {

using A = DnnAttribute;
using T = DnnDescriptorType;

std::vector<RecordPointer> those(const Record& r, std::initializer_list<A> attributes) {
  std::vector<RecordPointer> found;
  for (const A a : attributes)
    if (r.has(a)) found.push_back(r.records(a).at(0));
  return found;
}

}  // namespace

float Operand::at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const {
  return load(data, bf16, a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]);
}

void Operand::put(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d, float value) const {
  store(data, bf16, a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3], value);
}

Operand shapeOf(const Record& tensor) {
  return {tensor.wholes(A::tensorDimensions), tensor.wholes(A::tensorStrides),
          tensor.enumerator(A::tensorType) == static_cast<int>(DnnDataType::bf16), nullptr};
}

std::int64_t spanOf(const Record& tensor) {
  const Operand t = shapeOf(tensor);
  std::int64_t span = 1;
  for (std::size_t i = 0; i < t.extents.size(); i++) span += (t.extents[i] - 1) * t.strides[i];
  return span;
}

std::vector<RecordPointer> inputsOf(const Record& r) {
  return those(r, {A::forwardX,
                   A::forwardW,
                   A::gradInputW,
                   A::gradInputDy,
                   A::gradWeightX,
                   A::gradWeightDy,
                   A::operationPointwiseX,
                   A::operationPointwiseB,
                   A::operationPointwiseT,
                   A::operationMatmulA,
                   A::operationMatmulB,
                   A::operationReductionX,
                   A::reshapeX,
                   A::normX,
                   A::normWeight,
                   A::normBias,
                   A::normEps,
                   A::normMomentum,
                   A::normMeanBefore,
                   A::normVarBefore,
                   A::normGradX,
                   A::normGradMean,
                   A::normGradRstd,
                   A::normGradDy,
                   A::normGradWeight});
}

std::vector<RecordPointer> outputsOf(const Record& r) {
  return those(r, {A::forwardY, A::gradInputDx, A::gradWeightDw, A::operationPointwiseY, A::operationMatmulC,
                   A::operationReductionY, A::reshapeY, A::normY, A::normMean, A::normRstd, A::normMeanAfter,
                   A::normVarAfter, A::normGradDx, A::normGradDweight, A::normGradDbias});
}

namespace {

struct Kind {
  T type;
  void (*check)(const Record&);
  void (*compute)(const Record&, const Bound&);
};
const Kind& kindOf(const Record& r) {
  static const Kind kinds[] = {{T::convolutionForward, checkConvolutionShapes, computeConvolution},
                               {T::convolutionGradInput, checkConvolutionShapes, computeConvolution},
                               {T::convolutionGradWeight, checkConvolutionShapes, computeConvolution},
                               {T::operationPointwise, checkPointwise, computePointwise},
                               {T::operationMatmul, checkMatmul, computeMatmul},
                               {T::operationReduction, checkReduction, computeReduction},
                               {T::operationReshape, checkReshape, computeReshape},
                               {T::norm, checkNorm, computeNorm},
                               {T::normGrad, checkNormGrad, computeNormGrad}};
  for (const Kind& kind : kinds)
    if (kind.type == r.type) return kind;
  refuse("no operation");
}

}  // namespace

void checkOperation(const Record& r) { kindOf(r).check(r); }
void computeOperation(const Record& r, const Bound& bound) { kindOf(r).compute(r, bound); }

void checkGraph(const Record& r) {
  std::map<std::int64_t, RecordPointer> named;
  std::set<RecordPointer> made;
  for (const RecordPointer& operation : r.records(A::graphOperations)) {
    for (const std::vector<RecordPointer>& side : {inputsOf(*operation), outputsOf(*operation)})
      for (const RecordPointer& tensor : side) {
        const auto [at, fresh] = named.emplace(tensor->whole(A::tensorNumber), tensor);
        require(fresh || at->second == tensor, "two tensors of a graph have one number");
      }
    for (const RecordPointer& tensor : inputsOf(*operation))
      require(!tensor->boolean(A::tensorVirtual) || made.count(tensor) != 0,
              "a virtual tensor is read before it is made");
    for (const RecordPointer& tensor : outputsOf(*operation)) {
      require(!tensor->boolean(A::tensorByValue), "a value cannot be written");
      require(made.insert(tensor).second, "a tensor is written twice");
    }
  }
}

}  // namespace fakes
