#include "affine.h"

#include "host/pointwise.h"
#include "ops/affine.h"

CUDA_IMAGE(affine)

namespace secateur::cuda {

KERNEL(affine, F32 | BF16)(const AffineArgs& a) {
  static Kernels kernels(images::affine, "affine");
  const std::int64_t n = a.y.size();
  launch(kernels[a.x.dtype], elementBlocks(n), 256, AffineParams{a.x.data, a.y.data, n, live(a.scale), live(a.shift)});
}

KERNEL(addScaled, F32 | BF16)(const AddScaledArgs& s) {
  static Kernels kernels(images::affine, "addScaled");
  const BinaryParams operands = {s.a.data, s.b.data, s.y.data, broadcastTo(s.y, {&s.a, &s.b}),
                                 sameElements(s.y, {&s.a, &s.b})};
  launch(kernels[s.a.dtype], elementBlocks(s.y.size()), 256, AddScaledParams{operands, live(s.scale)});
}

}  // namespace secateur::cuda
