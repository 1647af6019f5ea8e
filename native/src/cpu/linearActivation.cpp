// A product with a bias and what follows it: gelu or relu, in one more pass over the result.
#include "ops/linearActivation.h"
#include "cpu/dnnl/gemm.h"
#include "cpu/gelu.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

// into = x weight^T + bias
template <class T>
SECATEUR_INLINE void multiply(const View& x, const View& weight, const View& bias, T* into) {
  onednn::GemmShape shape;
  shape.columns = weight.dims[0];
  shape.depth = weight.dims[1];
  shape.rows = 1;
  for (int i = 0; i < x.rank - 1; i++) shape.rows *= x.dims[i];
  shape.transB = true;
  const T* shift = bias.present ? bias.as<T>() : nullptr;
  if (shape.depth == 0) {
    // A sum over nothing.
    for (std::int64_t i = 0; i < shape.rows * shape.columns; i++)
      into[i] = shift == nullptr ? T{} : shift[i % shape.columns];
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    onednn::gemm(shape, x.as<float>(), weight.as<float>(), shift, into, false);
  } else {
    float* wide = nullptr;
    if (shift != nullptr) {
      wide = scratch<float>(shape.columns);
      for (std::int64_t i = 0; i < shape.columns; i++) wide[i] = toFloat(shift[i]);
    }
    onednn::gemm(shape, x.as<bf16>(), weight.as<bf16>(), wide, into);
  }
}

// y = f(sum), in place where nobody asks for the sum itself.
template <class T, class F>
SECATEUR_INLINE void activate(const T* sum, T* y, std::int64_t n, const F& f) {
  parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; i++) store(y[i], f(toFloat(sum[i])));
  });
}

}  // namespace

KERNEL(linearGelu, F32 | BF16)(const LinearGeluArgs& a) {
  if (a.y.size() == 0) return;
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = a.y.as<T>();
    T* sum = a.z.present ? a.z.as<T>() : y;
    multiply<T>(a.x, a.weight, a.bias, sum);
    if (a.approximate == LinearGeluArgs::Approximate::none) {
      activate(
          sum, y, a.y.size(), [](float x) __attribute__((always_inline)) { return geluExact(x); });
    } else {
      activate(
          sum, y, a.y.size(), [](float x) __attribute__((always_inline)) { return geluTanh(x); });
    }
  });
}

KERNEL(linearRelu, F32 | BF16)(const LinearReluArgs& a) {
  if (a.y.size() == 0) return;
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = a.y.as<T>();
    multiply<T>(a.x, a.weight, a.bias, y);
    activate(
        y, y, a.y.size(), [](float x) __attribute__((always_inline)) { return x <= 0 ? 0.0f : x; });
  });
}

}  // namespace secateur::SECATEUR_ISA
