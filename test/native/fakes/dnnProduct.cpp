// Products, reductions and reshapes.
#include <cmath>

#include "dnnGraph.h"
#include "simulatedGpu.h"

namespace fakes {

namespace {

using A = DnnAttribute;

template <class F>
void eachElement(const Operand& t, const F& f) {
  for (std::int64_t i = 0; i < t.extents[0]; i++)
    for (std::int64_t j = 0; j < t.extents[1]; j++)
      for (std::int64_t k = 0; k < t.extents[2]; k++)
        for (std::int64_t l = 0; l < t.extents[3]; l++) f(i, j, k, l);
}

}  // namespace

void checkMatmul(const Record& r) {
  const Operand a = shapeOf(r.record(A::operationMatmulA)), b = shapeOf(r.record(A::operationMatmulB)),
                c = shapeOf(r.record(A::operationMatmulC));
  for (const Operand* t : {&a, &b, &c}) require(t->extents.size() == 4, "this stand-in knows two axes of batches");
  for (std::size_t i = 0; i < 2; i++)
    require(a.extents[i] == c.extents[i] && b.extents[i] == c.extents[i], "one batch everywhere");
  require(a.extents[3] == b.extents[2], "the depths fit");
  require(a.extents[2] == c.extents[2] && b.extents[3] == c.extents[3], "the result fits");
  for (const A operand : {A::operationMatmulA, A::operationMatmulB, A::operationMatmulC}) {
    const Record& tensor = r.record(operand);
    const Operand t = shapeOf(tensor);
    require(t.strides[2] == 1 || t.strides[3] == 1, "a matrix is contiguous along one axis");
    if (t.bf16 && !tensor.boolean(A::tensorVirtual) && t.extents[t.strides[3] == 1 ? 3 : 2] % 8 != 0)
      throw Refusal{DnnStatus::notSupported, "lines in memory that are no multiple of 8"};
  }
}

void computeMatmul(const Record& r, const Bound& bound) {
  const Operand a = bound(r.record(A::operationMatmulA)), b = bound(r.record(A::operationMatmulB)),
                c = bound(r.record(A::operationMatmulC));
  eachElement(c, [&](std::int64_t i, std::int64_t j, std::int64_t row, std::int64_t column) {
    double sum = 0;
    for (std::int64_t k = 0; k < a.extents[3]; k++) sum += double{a.at(i, j, row, k)} * b.at(i, j, k, column);
    c.put(i, j, row, column, static_cast<float>(sum));
  });
}

void checkReduction(const Record& r) {
  const Operand x = shapeOf(r.record(A::operationReductionX)), y = shapeOf(r.record(A::operationReductionY));
  require(x.extents.size() == 4 && y.extents.size() == 4, "four axes");
  for (std::size_t i = 0; i < 4; i++)
    require(y.extents[i] == x.extents[i] || y.extents[i] == 1, "an axis stays or is reduced");
}

void computeReduction(const Record& r, const Bound& bound) {
  const Operand x = bound(r.record(A::operationReductionX)), y = bound(r.record(A::operationReductionY));
  const bool sums = r.record(A::operationReductionHow).enumerator(A::reductionOperator) == 0;
  eachElement(y, [&](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
    y.put(i, j, k, l, sums ? 0.0f : -INFINITY);
  });
  const auto at = [&](std::size_t axis, std::int64_t i) { return y.extents[axis] == 1 ? 0 : i; };
  eachElement(x, [&](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t l) {
    const std::int64_t a = at(0, i), b = at(1, j), c = at(2, k), d = at(3, l);
    const float so = y.at(a, b, c, d), here = x.at(i, j, k, l);
    y.put(a, b, c, d, sums ? so + here : here > so || std::isnan(here) ? here : so);
  });
}

// Other names for the places of the same memory.
void checkReshape(const Record& r) {
  const Record &x = r.record(A::reshapeX), &y = r.record(A::reshapeY);
  require(y.boolean(A::tensorVirtual), "this stand-in reshapes inside a graph");
  const Operand from = shapeOf(x), to = shapeOf(y);
  std::int64_t ofX = 1, ofY = 1;
  for (const std::int64_t n : from.extents) ofX *= n;
  for (const std::int64_t n : to.extents) ofY *= n;
  require(ofX == ofY && spanOf(x) == ofX && spanOf(y) == ofY, "as many elements, without gaps");
}

void computeReshape(const Record& r, const Bound& bound) {
  const Operand x = bound(r.record(A::reshapeX)), y = bound(r.record(A::reshapeY));
  for (std::int64_t i = 0; i < spanOf(r.record(A::reshapeX)); i++) store(y.data, y.bf16, i, load(x.data, x.bf16, i));
}

}  // namespace fakes
