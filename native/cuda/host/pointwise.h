// Launching pointwise kernels.
#pragma once
#include "gpu/pointwise.h"
#include "host/launch.h"
#include "host/strided.h"

namespace secateur::cuda {

inline void launchUnary(Kernel& kernel, const View& x, const View& y) {
  const std::int64_t n = y.size();
  launch(kernel, elementBlocks(n), 256, UnaryParams{x.data, y.data, n});
}

inline void launchSlope(Kernel& kernel, const View& saved, const View& g, const View& dx) {
  const std::int64_t n = dx.size();
  launch(kernel, elementBlocks(n), 256, SlopeParams{saved.data, g.data, dx.data, n});
}

inline void launchBinary(Kernel& kernel, const View& a, const View& b, const View& y) {
  launch(kernel, elementBlocks(y.size()), 256,
         BinaryParams{a.data, b.data, y.data, broadcastTo(y, {&a, &b}), sameElements(y, {&a, &b})});
}

inline void launchTernary(Kernel& kernel, const View& a, const View& b, const View& c, const View& y) {
  launch(kernel, elementBlocks(y.size()), 256,
         TernaryParams{a.data, b.data, c.data, y.data, broadcastTo(y, {&a, &b, &c}), sameElements(y, {&a, &b, &c})});
}

}  // namespace secateur::cuda
