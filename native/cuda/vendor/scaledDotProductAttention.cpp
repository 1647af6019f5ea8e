#include "vendor/scaledDotProductAttention.h"

#include "vendor/session.h"

namespace secateur::cuda {

bool cudnnAttention(const ScaledDotProductAttentionArgs& a) {
  if (a.q.dtype != DType::bf16 || a.causal || a.keyMask.present || a.accumulate) return false;
  if (a.q.size() == 0 || a.k.size() == 0) return false;
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr) return false;
  const dnn::AttentionShape shape{a.q.dims[0], a.q.dims[1], a.q.dims[2], a.k.dims[2], a.q.dims[3]};
  const auto scale = static_cast<float>(a.scale);
  return session->run(shape, {{dnn::numberQ, a.q.data},
                              {dnn::numberK, a.k.data},
                              {dnn::numberV, a.v.data},
                              {dnn::numberO, a.y.data},
                              {dnn::numberStats, a.lse.data},
                              {dnn::numberScale, &scale}});
}

}  // namespace secateur::cuda
