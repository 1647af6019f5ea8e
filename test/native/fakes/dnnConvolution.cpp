#include "dnnGraph.h"

namespace fakes {

namespace {

using A = DnnAttribute;
using T = DnnDescriptorType;

// Under which attributes the three directions keep the same things.
struct Names {
  A convolution, x, w, y, alpha, beta;
};

Names namesOf(const Record& r) {
  if (r.type == T::convolutionForward)
    return {A::forwardConvolution, A::forwardX, A::forwardW, A::forwardY, A::forwardAlpha, A::forwardBeta};
  if (r.type == T::convolutionGradInput)
    return {A::gradInputConvolution, A::gradInputDx,    A::gradInputW,
            A::gradInputDy,          A::gradInputAlpha, A::gradInputBeta};
  return {A::gradWeightConvolution, A::gradWeightX,     A::gradWeightDw,
          A::gradWeightDy,          A::gradWeightAlpha, A::gradWeightBeta};
}

struct Geometry {
  std::vector<std::int64_t> stride, before, after, dilation;
  explicit Geometry(const Record& c)
      : stride(c.wholes(A::convolutionStrides)),
        before(c.wholes(A::convolutionPaddingBefore)),
        after(c.wholes(A::convolutionPaddingAfter)),
        dilation(c.wholes(A::convolutionDilations)) {}
};

}  // namespace

void checkConvolutionShapes(const Record& r) {
  const Names names = namesOf(r);
  const Record& convolution = r.record(names.convolution);
  const Operand x = shapeOf(r.record(names.x)), w = shapeOf(r.record(names.w)), y = shapeOf(r.record(names.y));
  require(convolution.whole(A::convolutionSpatialAxes) == 2, "this stand-in knows two spatial axes");
  require(x.extents.size() == 4 && w.extents.size() == 4 && y.extents.size() == 4, "two axes more than spatial ones");
  require(x.extents[0] == y.extents[0] && w.extents[0] == y.extents[1], "images and channels of the result");
  require(x.extents[1] % w.extents[1] == 0, "the weight's channels divide the input's");
  require(w.extents[0] % (x.extents[1] / w.extents[1]) == 0, "the groups divide the result's channels");
  const Geometry g(convolution);
  for (std::size_t i = 0; i < 2; i++) {
    const std::int64_t reach = (w.extents[2 + i] - 1) * g.dilation[i] + 1;
    const std::int64_t room = x.extents[2 + i] + g.before[i] + g.after[i] - reach;
    require(room >= 0 && y.extents[2 + i] == room / g.stride[i] + 1, "the result is as large as the geometry gives");
  }
  require(r.real(names.alpha) == 1.0f && r.real(names.beta) == 0.0f, "this stand-in neither scales nor adds");
}

void computeConvolution(const Record& r, const Bound& bound) {
  const Names names = namesOf(r);
  const Geometry g(r.record(names.convolution));
  const Operand x = bound(r.record(names.x)), w = bound(r.record(names.w)), y = bound(r.record(names.y));
  const std::int64_t perGroup = w.extents[1], outPerGroup = w.extents[0] / (x.extents[1] / perGroup);
  // Every product once, added up in double where the direction wants it.
  const Operand& into = r.type == T::convolutionForward ? y : r.type == T::convolutionGradInput ? x : w;
  const std::vector<std::int64_t>& e = into.extents;
  std::vector<double> sums(static_cast<std::size_t>(e[0] * e[1] * e[2] * e[3]));
  const auto sum = [&](std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) -> double& {
    return sums[static_cast<std::size_t>(((a * e[1] + b) * e[2] + c) * e[3] + d)];
  };
  for (std::int64_t n = 0; n < y.extents[0]; n++)
    for (std::int64_t k = 0; k < y.extents[1]; k++)
      for (std::int64_t i = 0; i < y.extents[2]; i++)
        for (std::int64_t j = 0; j < y.extents[3]; j++)
          for (std::int64_t c = 0; c < perGroup; c++)
            for (std::int64_t p = 0; p < w.extents[2]; p++)
              for (std::int64_t q = 0; q < w.extents[3]; q++) {
                const std::int64_t row = i * g.stride[0] - g.before[0] + p * g.dilation[0];
                const std::int64_t column = j * g.stride[1] - g.before[1] + q * g.dilation[1];
                if (row < 0 || row >= x.extents[2] || column < 0 || column >= x.extents[3]) continue;
                const std::int64_t from = k / outPerGroup * perGroup + c;
                if (r.type == T::convolutionForward)
                  sum(n, k, i, j) += double{x.at(n, from, row, column)} * w.at(k, c, p, q);
                else if (r.type == T::convolutionGradInput)
                  sum(n, from, row, column) += double{y.at(n, k, i, j)} * w.at(k, c, p, q);
                else
                  sum(k, c, p, q) += double{y.at(n, k, i, j)} * x.at(n, from, row, column);
              }
  for (std::int64_t a = 0; a < e[0]; a++)
    for (std::int64_t b = 0; b < e[1]; b++)
      for (std::int64_t c = 0; c < e[2]; c++)
        for (std::int64_t d = 0; d < e[3]; d++) into.put(a, b, c, d, static_cast<float>(sum(a, b, c, d)));
}

}  // namespace fakes
