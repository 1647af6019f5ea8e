#include "dnnGraph.h"

#include <cmath>
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

DnnPointwiseMode modeOf(const Record& r) {
  return static_cast<DnnPointwiseMode>(r.record(A::operationPointwiseMode).enumerator(A::pointwiseMode));
}
bool isUnary(DnnPointwiseMode mode) { return mode == DnnPointwiseMode::relu || mode == DnnPointwiseMode::exponential; }

void checkPointwise(const Record& r) {
  const Operand x = shapeOf(r.record(A::operationPointwiseX)), y = shapeOf(r.record(A::operationPointwiseY));
  require(x.extents.size() == 4 && x.extents == y.extents, "a result has the shape of its operand");
  require(r.has(A::operationPointwiseB) != isUnary(modeOf(r)), "as many operands as the function has");
  if (isUnary(modeOf(r))) return;
  const Operand b = shapeOf(r.record(A::operationPointwiseB));
  require(b.extents.size() == 4, "four axes");
  for (std::size_t i = 0; i < 4; i++)
    require(b.extents[i] == y.extents[i] || b.extents[i] == 1, "the second operand broadcasts to the result");
}

template <class F>
void eachElement(const Operand& y, const F& f) {
  for (std::int64_t i = 0; i < y.extents[0]; i++)
    for (std::int64_t j = 0; j < y.extents[1]; j++)
      for (std::int64_t k = 0; k < y.extents[2]; k++)
        for (std::int64_t l = 0; l < y.extents[3]; l++) y.put(i, j, k, l, f(i, j, k, l));
}

void computePointwise(const Record& r, const Bound& bound) {
  const Operand x = bound(r.record(A::operationPointwiseX)), y = bound(r.record(A::operationPointwiseY));
  const DnnPointwiseMode mode = modeOf(r);
  if (isUnary(mode)) {
    const Record& how = r.record(A::operationPointwiseMode);
    // relu loses NaN unless somebody minds.
    const bool keepNan =
        how.has(A::pointwiseNan) && how.enumerator(A::pointwiseNan) == static_cast<int>(DnnNan::propagate);
    eachElement(y, [&](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
      const float v = x.at(i, j, k, l);
      if (mode == DnnPointwiseMode::exponential) return std::exp(v);
      return v > 0 || (keepNan && v != v) ? v : 0.0f;
    });
    return;
  }
  const Operand b = bound(r.record(A::operationPointwiseB));
  const auto in = [&](std::size_t axis, std::int64_t i) { return b.extents[axis] == 1 ? 0 : i; };
  eachElement(y, [&](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
    const float v = x.at(i, j, k, l), w = b.at(in(0, i), in(1, j), in(2, k), in(3, l));
    return mode == DnnPointwiseMode::add ? v + w : mode == DnnPointwiseMode::subtract ? v - w : v * w;
  });
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
                   A::normGradWeight,
                   A::attentionQ,
                   A::attentionK,
                   A::attentionV,
                   A::attentionScale});
}

std::vector<RecordPointer> outputsOf(const Record& r) {
  return those(
      r, {A::forwardY, A::gradInputDx, A::gradWeightDw, A::operationPointwiseY, A::operationMatmulC,
          A::operationReductionY, A::reshapeY, A::normY, A::normMean, A::normRstd, A::normMeanAfter, A::normVarAfter,
          A::normGradDx, A::normGradDweight, A::normGradDbias, A::attentionO, A::attentionStats});
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
                               {T::normGrad, checkNormGrad, computeNormGrad},
                               {T::attention, checkAttentionShapes, computeAttention}};
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
