// Functions of one to three elements.
#include <cmath>

#include "dnnGraph.h"

namespace fakes {

namespace {

using A = DnnAttribute;
using Mode = DnnPointwiseMode;

constexpr A places[] = {A::operationPointwiseX, A::operationPointwiseB, A::operationPointwiseT};

Mode modeOf(const Record& r) {
  return static_cast<Mode>(r.record(A::operationPointwiseMode).enumerator(A::pointwiseMode));
}

std::size_t operandsOf(Mode mode) {
  switch (mode) {
    case Mode::exponential:
    case Mode::logarithm:
    case Mode::relu:
    case Mode::placeAlong:
      return 1;
    case Mode::add:
    case Mode::multiply:
    case Mode::divide:
    case Mode::subtract:
    case Mode::notBelow:
      return 2;
    case Mode::select:
      return 3;
  }
  refuse("a pointwise function that this stand-in does not know");
}

DnnDataType typeOf(const Record& tensor) { return static_cast<DnnDataType>(tensor.enumerator(A::tensorType)); }

}  // namespace

void checkPointwiseFunction(const Record& r) {
  const auto mode = static_cast<Mode>(r.enumerator(A::pointwiseMode));
  operandsOf(mode);
  const auto precision = static_cast<DnnDataType>(r.enumerator(A::pointwisePrecision));
  const auto wanted = mode == Mode::notBelow     ? DnnDataType::boolean
                      : mode == Mode::placeAlong ? DnnDataType::i32
                                                 : DnnDataType::f32;
  require(precision == wanted, "the precision that the function computes in");
  require(r.has(A::pointwiseAxis) == (mode == Mode::placeAlong), "an axis for places along one");
}

void checkPointwise(const Record& r) {
  const Mode mode = modeOf(r);
  const Record& result = r.record(A::operationPointwiseY);
  const Operand y = shapeOf(result);
  require(y.extents.size() == 4, "four axes");
  require((typeOf(result) == DnnDataType::boolean) == (mode == Mode::notBelow), "a comparison gives what is true");
  require((typeOf(result) == DnnDataType::i32) == (mode == Mode::placeAlong), "places are whole numbers");
  for (std::size_t i = 0; i < 3; i++) {
    require(r.has(places[i]) == (i < operandsOf(mode)), "as many operands as the function has");
    if (!r.has(places[i])) continue;
    const Operand x = shapeOf(r.record(places[i]));
    require((typeOf(r.record(places[i])) == DnnDataType::boolean) == (i == 2), "only a condition is true or false");
    require(x.extents.size() == 4, "four axes");
    for (std::size_t k = 0; k < 4; k++)
      require(x.extents[k] == y.extents[k] || (i > 0 && x.extents[k] == 1), "operands broadcast to the result");
  }
}

void computePointwise(const Record& r, const Bound& bound) {
  const Mode mode = modeOf(r);
  const Record& how = r.record(A::operationPointwiseMode);
  // relu loses NaN unless somebody minds.
  const bool keepNan =
      how.has(A::pointwiseNan) && how.enumerator(A::pointwiseNan) == static_cast<int>(DnnNan::propagate);
  const std::int64_t axis = how.has(A::pointwiseAxis) ? how.whole(A::pointwiseAxis) : 0;
  const Operand y = bound(r.record(A::operationPointwiseY));
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < operandsOf(mode); i++) operands.push_back(bound(r.record(places[i])));

  std::int64_t at[4];
  const auto in = [&](std::size_t i) {
    const Operand& x = operands[i];
    const auto along = [&](std::size_t k) { return x.extents[k] == 1 ? 0 : at[k]; };
    return x.at(along(0), along(1), along(2), along(3));
  };
  const auto value = [&]() -> float {
    switch (mode) {
      case Mode::exponential:
        return std::exp(in(0));
      case Mode::logarithm:
        return std::log(in(0));
      case Mode::relu:
        return in(0) > 0 || (keepNan && std::isnan(in(0))) ? in(0) : 0.0f;
      case Mode::placeAlong:
        return static_cast<float>(at[axis]);
      case Mode::add:
        return in(0) + in(1);
      case Mode::multiply:
        return in(0) * in(1);
      case Mode::divide:
        return in(0) / in(1);
      case Mode::subtract:
        return in(0) - in(1);
      case Mode::notBelow:
        return in(0) >= in(1) ? 1.0f : 0.0f;
      case Mode::select:
        return in(2) != 0 ? in(0) : in(1);
    }
    refuse("a pointwise function that this stand-in does not know");
  };
  for (at[0] = 0; at[0] < y.extents[0]; at[0]++)
    for (at[1] = 0; at[1] < y.extents[1]; at[1]++)
      for (at[2] = 0; at[2] < y.extents[2]; at[2]++)
        for (at[3] = 0; at[3] < y.extents[3]; at[3]++) y.put(at[0], at[1], at[2], at[3], value());
}

}  // namespace fakes
