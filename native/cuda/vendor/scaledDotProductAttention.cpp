#include "vendor/scaledDotProductAttention.h"

#include "host/launch.h"
#include "vendor/session.h"

namespace secateur::cuda {

namespace {

// What is worth asking for, and may be asked.
template <class Args>
bool suits(const Args& a) {
  return a.q.dtype == DType::bf16 && !a.causal && !a.keyMask.present && !a.accumulate && a.q.size() > 0 &&
         a.k.size() > 0;
}

dnn::AttentionShape shapeOf(const View& q, const View& k, bool gradient) {
  return {q.dims[0], q.dims[1], q.dims[2], k.dims[2], q.dims[3], gradient};
}

}  // namespace

bool cudnnAttention(const ScaledDotProductAttentionArgs& a) {
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr || !suits(a)) return false;
  const auto scale = static_cast<float>(a.scale);
  return session->run(shapeOf(a.q, a.k, false), {{dnn::numberQ, a.q.data},
                                                 {dnn::numberK, a.k.data},
                                                 {dnn::numberV, a.v.data},
                                                 {dnn::numberO, a.y.data},
                                                 {dnn::numberStats, a.lse.data},
                                                 {dnn::numberScale, &scale}});
}

bool cudnnAttentionGrad(const ScaledDotProductAttentionGradArgs& a) {
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr || !suits(a)) return false;
  const auto scale = static_cast<float>(a.scale);
  const float one = 1.0f;
  return session->run(shapeOf(a.q, a.k, true), {{dnn::numberQ, a.q.data},
                                                {dnn::numberK, a.k.data},
                                                {dnn::numberV, a.v.data},
                                                {dnn::numberO, a.y.data},
                                                {dnn::numberDo, a.g.data},
                                                {dnn::numberStats, a.lse.data},
                                                {dnn::numberDelta, scratch<float>(a.lse.size())},
                                                {dnn::numberScale, &scale},
                                                {dnn::numberOne, &one},
                                                {dnn::numberDq, a.dq.data},
                                                {dnn::numberDk, a.dk.data},
                                                {dnn::numberDv, a.dv.data}});
}

}  // namespace secateur::cuda
