#include "vendor/scaledDotProductAttention.h"

#include <limits>

#include "host/keyMask.h"
#include "host/launch.h"
#include "vendor/session.h"

namespace secateur::cuda {

namespace {

// What is worth asking for, and may be asked.
template <class Args>
bool suits(const Args& a) {
  return dnn::Session::get() != nullptr && a.q.dtype == DType::bf16 && !a.accumulate && a.q.size() > 0 &&
         a.k.size() > 0;
}

template <class Args>
bool runGraph(const Args& a, bool gradient, const void* stats, dnn::Memory memory) {
  const auto scale = static_cast<float>(a.scale);
  // Not infinity: below a largest score that is infinite itself it would be NaN.
  constexpr float lowest = std::numeric_limits<float>::lowest();
  memory.insert(memory.end(), {{dnn::numberQ, a.q.data},
                               {dnn::numberK, a.k.data},
                               {dnn::numberV, a.v.data},
                               {dnn::numberO, a.y.data},
                               {dnn::numberStats, stats},
                               {dnn::numberScale, &scale}});
  if (a.causal) memory.emplace_back(dnn::numberLowest, &lowest);
  if (a.keyMask.present) memory.emplace_back(dnn::numberKeyBias, keyBias(a.keyMask));
  return dnn::Session::get()->run(dnn::AttentionShape{a.q.dims[0], a.q.dims[1], a.q.dims[2], a.k.dims[2], a.q.dims[3],
                                                      a.causal, a.keyMask.present, gradient},
                                  memory);
}

}  // namespace

bool cudnnAttention(const ScaledDotProductAttentionArgs& a) {
  if (!suits(a) || !runGraph(a, false, a.lse.data, {})) return false;
  if (a.keyMask.present) mendBlindQueries(a.y, a.lse);
  return true;
}

bool cudnnAttentionGrad(const ScaledDotProductAttentionGradArgs& a) {
  if (!suits(a)) return false;
  const void* stats = a.keyMask.present ? statsOfSeeing(a.lse) : a.lse.data;
  const float one = 1.0f;
  return runGraph(a, true, stats,
                  {{dnn::numberDo, a.g.data},
                   {dnn::numberDelta, scratch<float>(a.lse.size())},
                   {dnn::numberOne, &one},
                   {dnn::numberDq, a.dq.data},
                   {dnn::numberDk, a.dk.data},
                   {dnn::numberDv, a.dv.data}});
}

}  // namespace secateur::cuda
