#include <algorithm>
#include <cmath>

#include "dnnGraph.h"

namespace fakes {

namespace {
using A = DnnAttribute;
}

void checkAttentionShapes(const Record& r) {
  const Operand q = shapeOf(r.record(A::attentionQ)), k = shapeOf(r.record(A::attentionK)),
                v = shapeOf(r.record(A::attentionV)), o = shapeOf(r.record(A::attentionO));
  for (const Operand* t : {&q, &k, &v, &o}) {
    require(t->extents.size() == 4, "attention's tensors have four axes");
    require(t->bf16, "attention is there for half precision only");
    require(t->strides[3] == 1, "a row is contiguous");
    require(t->extents[0] == q.extents[0] && t->extents[1] == q.extents[1], "one batch, as many heads everywhere");
  }
  require(k.extents[3] == q.extents[3] && k.extents[2] == v.extents[2], "queries, keys and values fit");
  require(o.extents[2] == q.extents[2] && o.extents[3] == v.extents[3], "the result fits");
  if (q.extents[3] % 8 != 0 || v.extents[3] % 8 != 0)
    throw Refusal{DnnStatus::notSupported, "a width that is no multiple of 8"};
  if (r.has(A::attentionStats)) {
    const Operand s = shapeOf(r.record(A::attentionStats));
    require(!s.bf16 && s.extents == std::vector<std::int64_t>({q.extents[0], q.extents[1], q.extents[2], 1}),
            "statistics are f32, one a query");
  }
  if (r.has(A::attentionScale)) {
    const Operand s = shapeOf(r.record(A::attentionScale));
    require(!s.bf16 && s.extents == std::vector<std::int64_t>(4, 1), "the scale is one f32");
  }
}

void computeAttention(const Record& r, const Bound& bound) {
  const Operand q = bound(r.record(A::attentionQ)), k = bound(r.record(A::attentionK)),
                v = bound(r.record(A::attentionV)), o = bound(r.record(A::attentionO));
  const double scale = r.has(A::attentionScale) ? bound(r.record(A::attentionScale)).at(0, 0, 0, 0) : 1.0;
  std::vector<double> scores(static_cast<std::size_t>(k.extents[2]));
  for (std::int64_t b = 0; b < q.extents[0]; b++)
    for (std::int64_t h = 0; h < q.extents[1]; h++)
      for (std::int64_t i = 0; i < q.extents[2]; i++) {
        double largest = -INFINITY, sum = 0;
        for (std::int64_t j = 0; j < k.extents[2]; j++) {
          double dot = 0;
          for (std::int64_t c = 0; c < q.extents[3]; c++) dot += double{q.at(b, h, i, c)} * k.at(b, h, j, c);
          scores[static_cast<std::size_t>(j)] = dot * scale;
          largest = std::max(largest, dot * scale);
        }
        for (double& s : scores) sum += std::exp(s - largest);
        for (std::int64_t c = 0; c < v.extents[3]; c++) {
          double mean = 0;
          for (std::int64_t j = 0; j < k.extents[2]; j++)
            mean += std::exp(scores[static_cast<std::size_t>(j)] - largest) / sum * v.at(b, h, j, c);
          o.put(b, h, i, c, static_cast<float>(mean));
        }
        if (r.has(A::attentionStats))
          bound(r.record(A::attentionStats)).put(b, h, i, 0, static_cast<float>(largest + std::log(sum)));
      }
}

}  // namespace fakes
