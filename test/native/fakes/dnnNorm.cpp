// Batch norm and its gradients.
#include <cmath>

#include "dnnGraph.h"

namespace fakes {

namespace {

using A = DnnAttribute;

void checkImages(const Record& r, std::initializer_list<A> images, std::initializer_list<A> perChannel) {
  const Operand x = shapeOf(r.record(*images.begin()));
  require(x.extents.size() == 4, "this stand-in knows images");
  for (const A a : images) {
    const Operand t = shapeOf(r.record(a));
    require(t.extents == x.extents && t.bf16 == x.bf16, "images of one shape and type");
  }
  for (const A a : perChannel) {
    const Operand t = shapeOf(r.record(a));
    require(t.extents == std::vector<std::int64_t>({1, x.extents[1], 1, 1}) && !t.bf16, "one f32 a channel");
  }
}

template <class F>
void eachPixel(const Operand& x, const F& f) {
  for (std::int64_t n = 0; n < x.extents[0]; n++)
    for (std::int64_t h = 0; h < x.extents[2]; h++)
      for (std::int64_t w = 0; w < x.extents[3]; w++) f(n, h, w);
}

double pixels(const Operand& x) { return static_cast<double>(x.extents[0] * x.extents[2] * x.extents[3]); }

}  // namespace

void checkNorm(const Record& r) {
  checkImages(r, {A::normX, A::normY},
              {A::normMean, A::normRstd, A::normWeight, A::normBias, A::normMeanBefore, A::normVarBefore,
               A::normMeanAfter, A::normVarAfter});
  for (const A a : {A::normEps, A::normMomentum})
    require(r.record(a).boolean(A::tensorByValue), "epsilon and momentum are values of the host");
}

void computeNorm(const Record& r, const Bound& bound) {
  const Operand x = bound(r.record(A::normX)), y = bound(r.record(A::normY));
  const auto at = [&](A a, std::int64_t c) { return double{bound(r.record(a)).at(0, c, 0, 0)}; };
  const auto put = [&](A a, std::int64_t c, double v) { bound(r.record(a)).put(0, c, 0, 0, static_cast<float>(v)); };
  const double count = pixels(x), eps = at(A::normEps, 0), momentum = at(A::normMomentum, 0);
  for (std::int64_t c = 0; c < x.extents[1]; c++) {
    double mean = 0, variance = 0;
    eachPixel(x, [&](auto n, auto h, auto w) { mean += x.at(n, c, h, w) / count; });
    eachPixel(x, [&](auto n, auto h, auto w) { variance += std::pow(x.at(n, c, h, w) - mean, 2) / count; });
    const double rstd = 1 / std::sqrt(variance + eps);
    eachPixel(x, [&](auto n, auto h, auto w) {
      const double v = (x.at(n, c, h, w) - mean) * rstd * at(A::normWeight, c) + at(A::normBias, c);
      y.put(n, c, h, w, static_cast<float>(v));
    });
    put(A::normMean, c, mean);
    put(A::normRstd, c, rstd);
    put(A::normMeanAfter, c, (1 - momentum) * at(A::normMeanBefore, c) + momentum * mean);
    put(A::normVarAfter, c, (1 - momentum) * at(A::normVarBefore, c) + momentum * variance * count / (count - 1));
  }
}

void checkNormGrad(const Record& r) {
  checkImages(r, {A::normGradX, A::normGradDy, A::normGradDx},
              {A::normGradMean, A::normGradRstd, A::normGradWeight, A::normGradDweight, A::normGradDbias});
}

void computeNormGrad(const Record& r, const Bound& bound) {
  const Operand x = bound(r.record(A::normGradX)), dy = bound(r.record(A::normGradDy)),
                dx = bound(r.record(A::normGradDx));
  const auto at = [&](A a, std::int64_t c) { return double{bound(r.record(a)).at(0, c, 0, 0)}; };
  const double count = pixels(x);
  for (std::int64_t c = 0; c < x.extents[1]; c++) {
    const double mean = at(A::normGradMean, c), rstd = at(A::normGradRstd, c), weight = at(A::normGradWeight, c);
    double dweight = 0, dbias = 0;
    eachPixel(x, [&](auto n, auto h, auto w) {
      dbias += dy.at(n, c, h, w);
      dweight += dy.at(n, c, h, w) * (x.at(n, c, h, w) - mean) * rstd;
    });
    eachPixel(x, [&](auto n, auto h, auto w) {
      const double normal = (x.at(n, c, h, w) - mean) * rstd;
      dx.put(n, c, h, w, static_cast<float>(weight * rstd * (dy.at(n, c, h, w) - (dbias + normal * dweight) / count)));
    });
    bound(r.record(A::normGradDweight)).put(0, c, 0, 0, static_cast<float>(dweight));
    bound(r.record(A::normGradDbias)).put(0, c, 0, 0, static_cast<float>(dbias));
  }
}

}  // namespace fakes
