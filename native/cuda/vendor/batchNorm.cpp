#include "vendor/batchNorm.h"

#include <cstdlib>
#include <cstring>

#include "vendor/session.h"

namespace secateur::cuda {

namespace {

dnn::Session* session() {
  static const bool wanted = [] {
    const char* value = std::getenv("SECATEUR_CUDNN_BATCH_NORM");
    return value != nullptr && std::strcmp(value, "1") == 0;
  }();
  return wanted ? dnn::Session::get() : nullptr;
}

dnn::BatchNormShape shapeOf(const View& x, bool gradient) {
  dnn::BatchNormShape s;
  s.gradient = gradient;
  s.dtype = x.dtype;
  s.images = x.dims[0];
  s.channels = x.back(1);
  s.width = x.rank > 2 ? x.back(2) : 1;
  s.height = x.size() / (s.images * s.width * s.channels);
  return s;
}

}  // namespace

bool cudnnBatchNorm(const BatchNormArgs& a) {
  dnn::Session* dnn = session();
  if (dnn == nullptr || !a.training || a.relu || a.accumulate || a.x.size() == 0) return false;
  const auto eps = static_cast<float>(a.eps), momentum = static_cast<float>(a.momentum);
  return dnn->run(shapeOf(a.x, false), {{dnn::numberX, a.x.data},
                                        {dnn::numberW, a.weight.data},
                                        {dnn::numberBias, a.bias.data},
                                        {dnn::numberMean, a.mean.data},
                                        {dnn::numberRstd, a.rstd.data},
                                        {dnn::numberMeanBefore, a.runningMean.data},
                                        {dnn::numberMeanAfter, a.runningMean.data},
                                        {dnn::numberVarBefore, a.runningVar.data},
                                        {dnn::numberVarAfter, a.runningVar.data},
                                        {dnn::numberEps, &eps},
                                        {dnn::numberMomentum, &momentum},
                                        {dnn::numberY, a.y.data}});
}

bool cudnnBatchNormGrad(const BatchNormGradArgs& a) {
  dnn::Session* dnn = session();
  if (dnn == nullptr || !a.training || a.relu || a.dadd.present || a.accumulate || a.x.size() == 0) return false;
  return dnn->run(shapeOf(a.x, true), {{dnn::numberX, a.x.data},
                                       {dnn::numberW, a.weight.data},
                                       {dnn::numberMean, a.mean.data},
                                       {dnn::numberRstd, a.rstd.data},
                                       {dnn::numberDy, a.g.data},
                                       {dnn::numberDx, a.dx.data},
                                       {dnn::numberDw, a.dweight.data},
                                       {dnn::numberDbias, a.dbias.data}});
}

}  // namespace secateur::cuda
