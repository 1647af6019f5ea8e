// Two-dimensional convolution through oneDNN's direct algorithms: plain pointers in, plain pointers out.
//
//   y[n,p,q,o] = bias[o] + sum_{r,s,c} x[n, p*strideH - padTop + r*dilationH, q*strideW - padLeft + s*dilationW, c]
//   w[o,r,s,c]
//
// Activations `[batch, height, width, channels]`, weights `[out, kernelH, kernelW, in / groups]`; with groups, c runs
// over the input channels of o's group. T is float or bf16 for activations and weights; the bias and its gradient are
// f32. Sums are in f32.
//
// oneDNN chooses how it wants the weights; they are packed anew at every call, which costs their size once, against
// batch * height * width uses. Primitives are kept by shape. On a processor where oneDNN has no bf16 the tensors are
// widened to f32 and the result is narrowed. Errors are oneDNN's own (`dnnl::error`), or std::bad_alloc.
#pragma once

#include <cstdint>

#include "core/bf16.h"

namespace secateur::onednn {

struct ConvShape {
  std::int64_t batch, height, width, in;
  std::int64_t out, kernelH, kernelW;
  std::int64_t strideH = 1, strideW = 1;
  std::int64_t padTop = 0, padLeft = 0, padBottom = 0, padRight = 0;
  std::int64_t dilationH = 1, dilationW = 1;  // 1: neighbouring values
  std::int64_t groups = 1;                    // divides in and out

  std::int64_t outHeight() const { return (height + padTop + padBottom - (kernelH - 1) * dilationH - 1) / strideH + 1; }
  std::int64_t outWidth() const { return (width + padLeft + padRight - (kernelW - 1) * dilationW - 1) / strideW + 1; }
};

/// `bias` may be null. T: float, bf16.
template <class T>
void convForward(const ConvShape& shape, const T* x, const T* w, const float* bias, T* y);

/// The gradient of x. T: float, bf16.
template <class T>
void convBackwardData(const ConvShape& shape, const T* dy, const T* w, T* dx);

/// The gradients of w, and of the bias unless `dbias` is null. <T, W>: <float, float>, <bf16, bf16>, <bf16, float>.
template <class T, class W>
void convBackwardWeights(const ConvShape& shape, const T* x, const T* dy, W* dw, float* dbias);

}  // namespace secateur::onednn
