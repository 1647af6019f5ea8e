#include "softmax.h"

#include "host/lines.h"
#include "ops/softmax.h"

CUDA_IMAGE(softmax)

namespace secateur::cuda {

namespace {

struct Extents {
  std::int64_t outer = 1, n = 1, inner = 1;
};

Extents extentsOf(const View& v, std::int64_t dim) {
  Extents e;
  const std::int64_t axis = dim < 0 ? dim + v.rank : dim;
  for (int d = 0; d < v.rank; d++) (d < axis ? e.outer : d == axis ? e.n : e.inner) *= v.dims[d];
  return e;
}

void forward(Kernels& along, Kernels& across, const View& x, const View& y, std::int64_t dim) {
  const Extents e = extentsOf(x, dim);
  if (e.inner == 1) {
    const LineLaunch l = lineLaunch(e.outer, e.n, x.dtype, 1);
    launch(along[x.dtype], l.blocks, l.threads, SoftmaxParams{x.data, y.data, l.lines}, l.shared);
  } else {
    launch(across[x.dtype], elementBlocks(e.outer * e.inner, 64), 64,
           SoftmaxAcrossParams{x.data, nullptr, y.data, e.outer, e.n, e.inner});
  }
}

void backward(Kernels& along, Kernels& across, const View& y, const View& g, const View& dx, std::int64_t dim) {
  const Extents e = extentsOf(y, dim);
  if (e.inner == 1) {
    const LineLaunch l = lineLaunch(e.outer, e.n, y.dtype, 2);
    launch(along[y.dtype], l.blocks, l.threads, SoftmaxGradParams{y.data, g.data, dx.data, l.lines}, l.shared);
  } else {
    launch(across[y.dtype], elementBlocks(e.outer * e.inner, 64), 64,
           SoftmaxAcrossParams{y.data, g.data, dx.data, e.outer, e.n, e.inner});
  }
}

}  // namespace

KERNEL(softmax, F32 | BF16)(const SoftmaxArgs& s) {
  static Kernels along(images::softmax, "softmax");
  static Kernels across(images::softmax, "softmaxAcross");
  forward(along, across, s.x, s.y, s.dim);
}

KERNEL(logSoftmax, F32 | BF16)(const LogSoftmaxArgs& s) {
  static Kernels along(images::softmax, "logSoftmax");
  static Kernels across(images::softmax, "logSoftmaxAcross");
  forward(along, across, s.x, s.y, s.dim);
}

KERNEL(softmaxGrad, F32 | BF16)(const SoftmaxGradArgs& s) {
  static Kernels along(images::softmax, "softmaxGrad");
  static Kernels across(images::softmax, "softmaxGradAcross");
  backward(along, across, s.y, s.g, s.dx, s.dim);
}

KERNEL(logSoftmaxGrad, F32 | BF16)(const LogSoftmaxGradArgs& s) {
  static Kernels along(images::softmax, "logSoftmaxGrad");
  static Kernels across(images::softmax, "logSoftmaxGradAcross");
  backward(along, across, s.y, s.g, s.dx, s.dim);
}

}  // namespace secateur::cuda
