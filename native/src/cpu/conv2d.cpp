// Convolution and its gradients. f32 3x3 kernels with stride 1 and padding 1 go through Winograd's algorithm where it
// pays, bf16 through tiles where the processor has them, everything else through oneDNN's direct algorithm.
#include "ops/conv2d.h"
#include "cpu/amxConvolution.h"
#include "cpu/dnnl/convolution.h"
#include "cpu/parallel.h"
#include "cpu/winograd.h"

namespace secateur::SECATEUR_ISA {

namespace {

template <class Args>
SECATEUR_INLINE onednn::ConvShape shapeOf(const Args& a, const View& x, const View& weight) {
  onednn::ConvShape s;
  s.batch = x.dims[0];
  s.height = x.dims[1];
  s.width = x.dims[2];
  s.in = x.dims[3];
  s.out = weight.dims[0];
  s.kernelH = weight.dims[1];
  s.kernelW = weight.dims[2];
  s.strideH = a.stride[0];
  s.strideW = a.stride[1];
  s.padTop = s.padBottom = a.padding[0];
  s.padLeft = s.padRight = a.padding[1];
  s.dilationH = a.dilation[0];
  s.dilationW = a.dilation[1];
  s.groups = a.groups;
  return s;
}

SECATEUR_INLINE bool empty(const onednn::ConvShape& s) { return s.batch == 0 || s.out == 0; }

SECATEUR_INLINE WinogradShape tiled(const onednn::ConvShape& s) { return {s.batch, s.height, s.width, s.in, s.out}; }

template <class Args>
SECATEUR_INLINE bool useWinograd(const Args& a, const onednn::ConvShape& s, DType dtype) {
  return dtype == DType::f32 && a.precision == Args::Precision::high && s.kernelH == 3 && s.kernelW == 3 &&
         s.strideH == 1 && s.strideW == 1 && s.padTop == 1 && s.padLeft == 1 && s.dilationH == 1 && s.dilationW == 1 &&
         s.groups == 1 && winogradPays(tiled(s));
}

SECATEUR_INLINE void zero(const View& v) { __builtin_memset(v.data, 0, v.size() * bytesOf(v.dtype)); }

// The bias is added in f32, whatever it is stored in.
SECATEUR_INLINE const float* biasOf(const View& bias) {
  if (!bias.present) return nullptr;
  if (bias.dtype == DType::f32) return bias.as<float>();
  const std::int64_t n = bias.size();
  const bf16* from = bias.as<bf16>();
  auto* wide = scratch<float>(n);
  for (std::int64_t i = 0; i < n; i++) wide[i] = toFloat(from[i]);
  return wide;
}

template <class Args>
SECATEUR_INLINE void convolve(const Args& a) {
  const onednn::ConvShape s = shapeOf(a, a.x, a.weight);
  if (a.y.size() == 0) return;
  const float* bias = biasOf(a.bias);
  if (useWinograd(a, s, a.x.dtype)) {
    const WinogradShape w = tiled(s);
    const int threads = threadCount();
    winogradForward(a.x.template as<float>(), a.weight.template as<float>(), bias, a.y.template as<float>(), w,
                    scratch<float>(winogradScratch(w, threads)), threads);
    return;
  }
#ifdef SECATEUR_AMX
  if (a.x.dtype == DType::bf16 && amx::forwardPays(s))
    return amx::convForward(s, a.x.template as<bf16>(), a.weight.template as<bf16>(), bias, a.y.template as<bf16>(),
                            a.packed);
#endif
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    onednn::convForward<T>(s, a.x.template as<T>(), a.weight.template as<T>(), bias, a.y.template as<T>());
  });
}

template <class Args>
SECATEUR_INLINE Layout weightLayout(const Args& a) {
#ifdef SECATEUR_AMX
  const onednn::ConvShape s = shapeOf(a, a.x, a.weight);
  if (a.x.dtype == DType::bf16 && amx::forwardPays(s)) return amx::forwardLayout(s);
#else
  static_cast<void>(a);
#endif
  return {};
}

}  // namespace

KERNEL(conv2d, F32 | BF16)(const Conv2dArgs& a) { convolve(a); }

// relu in a pass of its own: oneDNN's loses NaN.
KERNEL(conv2dRelu, F32 | BF16)(const Conv2dReluArgs& a) {
  convolve(a);
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = a.y.as<T>();
    parallelFor(a.y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) store(y[i], toFloat(y[i]) <= 0 ? 0.0f : toFloat(y[i]));
    });
  });
}

LAYOUT(conv2d)(const Conv2dArgs& a) { return weightLayout(a); }
LAYOUT(conv2dRelu)(const Conv2dReluArgs& a) { return weightLayout(a); }

KERNEL(conv2dGradInput, F32 | BF16)(const Conv2dGradInputArgs& a) {
  const onednn::ConvShape s = shapeOf(a, a.dx, a.weight);
  if (a.dx.size() == 0) return;
  if (empty(s)) return zero(a.dx);
  if (useWinograd(a, s, a.g.dtype)) {
    const WinogradShape w = tiled(s);
    const int threads = threadCount();
    winogradBackwardData(a.g.as<float>(), a.weight.as<float>(), a.dx.as<float>(), w,
                         scratch<float>(winogradScratch(w, threads)), threads);
    return;
  }
#ifdef SECATEUR_AMX
  if (a.g.dtype == DType::bf16 && amx::backwardDataPays(s))
    return amx::convBackwardData(s, a.g.as<bf16>(), a.weight.as<bf16>(), a.dx.as<bf16>(), a.packed);
#endif
  withFloat(a.g.dtype, [&](auto tag) {
    using T = decltype(tag);
    onednn::convBackwardData<T>(s, a.g.as<T>(), a.weight.as<T>(), a.dx.as<T>());
  });
}

LAYOUT(conv2dGradInput)(const Conv2dGradInputArgs& a) {
#ifdef SECATEUR_AMX
  const onednn::ConvShape s = shapeOf(a, a.dx, a.weight);
  if (a.g.dtype == DType::bf16 && !empty(s) && amx::backwardDataPays(s)) return amx::backwardLayout(s);
#else
  static_cast<void>(a);
#endif
  return {};
}

KERNEL(conv2dGradWeight, F32 | BF16)(const Conv2dGradWeightArgs& a) {
  const onednn::ConvShape s = shapeOf(a, a.x, a.dw);
  if (a.dw.size() == 0) return;
  if (empty(s)) return zero(a.dw);
  if (useWinograd(a, s, a.x.dtype)) {
    const WinogradShape w = tiled(s);
    winogradBackwardWeights(a.x.as<float>(), a.g.as<float>(), a.dw.as<float>(), w,
                            scratch<float>(winogradWeightsScratch(w)), threadCount());
    return;
  }
#ifdef SECATEUR_AMX
  if (a.x.dtype == DType::bf16 && amx::backwardWeightsPays(s))
    return amx::convBackwardWeights(s, a.x.as<bf16>(), a.g.as<bf16>(), a.dw.as<bf16>());
#endif
  withFloat(a.x.dtype, [&](auto tag) {
    using T = decltype(tag);
    onednn::convBackwardWeights<T, T>(s, a.x.as<T>(), a.g.as<T>(), a.dw.as<T>(), nullptr);
  });
}

}  // namespace secateur::SECATEUR_ISA
