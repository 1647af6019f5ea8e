// What each descriptor takes, as cudnn_graph.h documents it: which attributes, of which kind, how many values, and
// which must be there.
#include <algorithm>

#include "dnnGraph.h"

namespace fakes {

namespace {

using A = DnnAttribute;
using K = DnnKind;
using T = DnnDescriptorType;

struct Rule {
  T type;
  A attribute;
  K kind;
  std::int64_t least, most;
  bool required;
  // For descriptors: of which type.
  T of = T::tensor;
};

constexpr std::int64_t maxAxes = 8;
constexpr std::int64_t anyNumber = 1 << 20;

constexpr Rule rules[] = {
    {T::tensor, A::tensorNumber, K::whole, 1, 1, true},
    {T::tensor, A::tensorType, K::dataType, 1, 1, true},
    {T::tensor, A::tensorDimensions, K::whole, 1, maxAxes, true},
    {T::tensor, A::tensorStrides, K::whole, 1, maxAxes, true},
    {T::tensor, A::tensorAlignment, K::whole, 1, 1, true},
    {T::tensor, A::tensorVirtual, K::boolean, 1, 1, false},
    {T::tensor, A::tensorByValue, K::boolean, 1, 1, false},
    {T::convolution, A::convolutionPrecision, K::dataType, 1, 1, true},
    {T::convolution, A::convolutionMode, K::convolutionMode, 1, 1, true},
    {T::convolution, A::convolutionSpatialAxes, K::whole, 1, 1, true},
    {T::convolution, A::convolutionDilations, K::whole, 1, maxAxes, true},
    {T::convolution, A::convolutionStrides, K::whole, 1, maxAxes, true},
    {T::convolution, A::convolutionPaddingBefore, K::whole, 1, maxAxes, true},
    {T::convolution, A::convolutionPaddingAfter, K::whole, 1, maxAxes, true},
    {T::convolutionForward, A::forwardConvolution, K::descriptor, 1, 1, true, T::convolution},
    {T::convolutionForward, A::forwardX, K::descriptor, 1, 1, true},
    {T::convolutionForward, A::forwardW, K::descriptor, 1, 1, true},
    {T::convolutionForward, A::forwardY, K::descriptor, 1, 1, true},
    {T::convolutionForward, A::forwardAlpha, K::real, 1, 1, true},
    {T::convolutionForward, A::forwardBeta, K::real, 1, 1, true},
    {T::convolutionGradInput, A::gradInputConvolution, K::descriptor, 1, 1, true, T::convolution},
    {T::convolutionGradInput, A::gradInputDx, K::descriptor, 1, 1, true},
    {T::convolutionGradInput, A::gradInputW, K::descriptor, 1, 1, true},
    {T::convolutionGradInput, A::gradInputDy, K::descriptor, 1, 1, true},
    {T::convolutionGradInput, A::gradInputAlpha, K::real, 1, 1, true},
    {T::convolutionGradInput, A::gradInputBeta, K::real, 1, 1, true},
    {T::convolutionGradWeight, A::gradWeightConvolution, K::descriptor, 1, 1, true, T::convolution},
    {T::convolutionGradWeight, A::gradWeightX, K::descriptor, 1, 1, true},
    {T::convolutionGradWeight, A::gradWeightDw, K::descriptor, 1, 1, true},
    {T::convolutionGradWeight, A::gradWeightDy, K::descriptor, 1, 1, true},
    {T::convolutionGradWeight, A::gradWeightAlpha, K::real, 1, 1, true},
    {T::convolutionGradWeight, A::gradWeightBeta, K::real, 1, 1, true},
    {T::pointwise, A::pointwiseMode, K::pointwiseMode, 1, 1, true},
    {T::pointwise, A::pointwisePrecision, K::dataType, 1, 1, true},
    {T::pointwise, A::pointwiseNan, K::nan, 1, 1, false},
    {T::pointwise, A::pointwiseAxis, K::whole, 1, 1, false},
    {T::operationPointwise, A::operationPointwiseMode, K::descriptor, 1, 1, true, T::pointwise},
    {T::operationPointwise, A::operationPointwiseX, K::descriptor, 1, 1, true},
    {T::operationPointwise, A::operationPointwiseB, K::descriptor, 1, 1, false},
    {T::operationPointwise, A::operationPointwiseT, K::descriptor, 1, 1, false},
    {T::operationPointwise, A::operationPointwiseY, K::descriptor, 1, 1, true},
    {T::matmul, A::matmulPrecision, K::dataType, 1, 1, true},
    {T::operationMatmul, A::operationMatmulHow, K::descriptor, 1, 1, true, T::matmul},
    {T::operationMatmul, A::operationMatmulA, K::descriptor, 1, 1, true},
    {T::operationMatmul, A::operationMatmulB, K::descriptor, 1, 1, true},
    {T::operationMatmul, A::operationMatmulC, K::descriptor, 1, 1, true},
    {T::reduction, A::reductionOperator, K::reductionOperator, 1, 1, true},
    {T::reduction, A::reductionPrecision, K::dataType, 1, 1, true},
    {T::operationReduction, A::operationReductionHow, K::descriptor, 1, 1, true, T::reduction},
    {T::operationReduction, A::operationReductionX, K::descriptor, 1, 1, true},
    {T::operationReduction, A::operationReductionY, K::descriptor, 1, 1, true},
    {T::operationReshape, A::reshapeX, K::descriptor, 1, 1, true},
    {T::operationReshape, A::reshapeY, K::descriptor, 1, 1, true},
    {T::norm, A::normMode, K::normMode, 1, 1, true},
    {T::norm, A::normPhase, K::normPhase, 1, 1, true},
    {T::norm, A::normX, K::descriptor, 1, 1, true},
    {T::norm, A::normMean, K::descriptor, 1, 1, true},
    {T::norm, A::normRstd, K::descriptor, 1, 1, true},
    {T::norm, A::normWeight, K::descriptor, 1, 1, true},
    {T::norm, A::normBias, K::descriptor, 1, 1, true},
    {T::norm, A::normEps, K::descriptor, 1, 1, true},
    {T::norm, A::normMomentum, K::descriptor, 1, 1, true},
    {T::norm, A::normMeanBefore, K::descriptor, 1, 1, true},
    {T::norm, A::normVarBefore, K::descriptor, 1, 1, true},
    {T::norm, A::normMeanAfter, K::descriptor, 1, 1, true},
    {T::norm, A::normVarAfter, K::descriptor, 1, 1, true},
    {T::norm, A::normY, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradMode, K::normMode, 1, 1, true},
    {T::normGrad, A::normGradX, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradMean, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradRstd, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradDy, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradWeight, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradDweight, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradDbias, K::descriptor, 1, 1, true},
    {T::normGrad, A::normGradDx, K::descriptor, 1, 1, true},
    {T::operationGraph, A::graphOperations, K::descriptor, 1, anyNumber, true},
    {T::deviceProperties, A::deviceHandle, K::handle, 1, 1, true},
    {T::heuristics, A::heuristicsGraph, K::descriptor, 1, 1, true, T::operationGraph},
    {T::heuristics, A::heuristicsMode, K::heuristicsMode, 1, 1, true},
    {T::heuristics, A::heuristicsDevice, K::descriptor, 1, 1, false, T::deviceProperties},
    {T::plan, A::planEngineConfig, K::descriptor, 1, 1, true, T::engineConfig},
    {T::plan, A::planDevice, K::descriptor, 1, 1, true, T::deviceProperties},
    {T::variantPack, A::packNumbers, K::whole, 1, anyNumber, true},
    {T::variantPack, A::packPointers, K::pointer, 1, anyNumber, true},
    {T::variantPack, A::packWorkspace, K::pointer, 1, 1, false},
};

bool powerOfTwo(std::int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

void checkTensor(const Record& r) {
  const std::vector<std::int64_t> extents = r.wholes(A::tensorDimensions), strides = r.wholes(A::tensorStrides);
  require(extents.size() == strides.size(), "a tensor has as many strides as extents");
  for (std::size_t i = 0; i < extents.size(); i++)
    require(extents[i] > 0 && strides[i] > 0, "a tensor's extents and strides are positive");
  const auto type = static_cast<DnnDataType>(r.enumerator(A::tensorType));
  const bool real = type == DnnDataType::f32 || type == DnnDataType::bf16;
  require(real || r.boolean(A::tensorVirtual), "this stand-in knows f32 and bf16, and inside a graph i32 and boolean");
  const std::int64_t alignment = r.whole(A::tensorAlignment);
  require(powerOfTwo(alignment) && alignment >= (type == DnnDataType::bf16 ? 2 : 4),
          "an alignment that holds elements");
  require(!(r.boolean(A::tensorVirtual) && r.boolean(A::tensorByValue)), "a tensor is virtual or a value");
}

void checkConvolution(const Record& r) {
  const auto axes = static_cast<std::size_t>(r.whole(A::convolutionSpatialAxes));
  for (const A a :
       {A::convolutionDilations, A::convolutionStrides, A::convolutionPaddingBefore, A::convolutionPaddingAfter})
    require(r.wholes(a).size() == axes, "one number an axis");
  for (const A a : {A::convolutionDilations, A::convolutionStrides})
    for (const std::int64_t n : r.wholes(a)) require(n >= 1, "strides and dilations of at least 1");
  for (const A a : {A::convolutionPaddingBefore, A::convolutionPaddingAfter})
    for (const std::int64_t n : r.wholes(a)) require(n >= 0, "paddings of at least 0");
  require(r.enumerator(A::convolutionPrecision) == static_cast<int>(DnnDataType::f32), "sums in f32");
  require(r.enumerator(A::convolutionMode) == 1, "cross-correlation");
}

}  // namespace

bool isOperation(T type) {
  return type == T::convolutionForward || type == T::convolutionGradInput || type == T::convolutionGradWeight ||
         type == T::operationPointwise || type == T::operationMatmul || type == T::operationReduction ||
         type == T::operationReshape || type == T::norm || type == T::normGrad;
}

void checkValue(const Record& r, A a, const Record::Value& value) {
  const auto* rule = std::find_if(std::begin(rules), std::end(rules),
                                  [&](const Rule& x) { return x.type == r.type && x.attribute == a; });
  const std::string name =
      "attribute " + std::to_string(static_cast<int>(a)) + " of type " + std::to_string(static_cast<int>(r.type));
  require(rule != std::end(rules), name + " cannot be set");
  require(rule->kind == value.kind, name + " is of another kind");
  require(value.count >= rule->least && value.count <= rule->most, name + " takes another number of values");
  for (const RecordPointer& other : value.records) {
    const bool fits = a == A::graphOperations ? isOperation(other->type) : other->type == rule->of;
    require(fits, name + " takes another type of descriptor");
  }
}

void checkWhole(const Record& r) {
  for (const Rule& rule : rules) {
    if (rule.type == r.type && rule.required)
      require(r.has(rule.attribute), "attribute " + std::to_string(static_cast<int>(rule.attribute)) + " is missing");
  }
  if (r.type == T::tensor) checkTensor(r);
  if (r.type == T::convolution) checkConvolution(r);
  if (r.type == T::pointwise) checkPointwiseFunction(r);
  if (r.type == T::matmul) require(r.enumerator(A::matmulPrecision) == 0, "sums in f32");
  if (r.type == T::reduction) require(r.enumerator(A::reductionPrecision) == 0, "reductions in f32");
  if (r.type == T::norm)
    require(r.enumerator(A::normMode) == 2 && r.enumerator(A::normPhase) == 1, "batch norm is there for training only");
  if (r.type == T::normGrad) require(r.enumerator(A::normGradMode) == 2, "this stand-in knows batch norm");
  if (r.type == T::variantPack)
    require(r.wholes(A::packNumbers).size() == r.pointers(A::packPointers).size(), "one pointer a tensor");
}

}  // namespace fakes
