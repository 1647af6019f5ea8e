// A product with a bias and what follows it: gelu or relu, in one more pass over the result.
#include "ops/linearActivation.h"
#include "cpu/amxMatmul.h"
#include "cpu/dnnl/gemm.h"
#include "cpu/gelu.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

#ifdef SECATEUR_AMX
template <class Args>
SECATEUR_INLINE amx::Product tiles(const Args& a) {
  const std::int64_t columns = a.weight.dims[0];
  return {a.y.size() / columns, columns, a.weight.dims[1], true};
}

template <class Args>
SECATEUR_INLINE amx::Way wayOf(const Args& a) {
  if (a.y.dtype != DType::bf16 || a.y.size() == 0 || a.weight.dims[1] == 0) return amx::Way::none;
  return amx::wayOf(tiles(a));
}
#endif

template <class Args>
SECATEUR_INLINE Layout weightLayout(const Args& a) {
#ifdef SECATEUR_AMX
  if (wayOf(a) == amx::Way::packed) return amx::layoutOf(tiles(a));
#else
  static_cast<void>(a);
#endif
  return {};
}

// into = x weight^T + bias
template <class T, class Args>
SECATEUR_INLINE void multiply(const Args& a, T* into) {
  onednn::GemmShape shape;
  shape.columns = a.weight.dims[0];
  shape.depth = a.weight.dims[1];
  shape.rows = a.y.size() / shape.columns;
  shape.transB = true;
  const T* x = a.x.template as<T>();
  const T* weight = a.weight.template as<T>();
  const T* bias = a.bias.present ? a.bias.template as<T>() : nullptr;
  if (shape.depth == 0) {
    // A sum over nothing.
    for (std::int64_t i = 0; i < a.y.size(); i++) into[i] = bias == nullptr ? T{} : bias[i % shape.columns];
    return;
  }
  if constexpr (sizeof(T) == sizeof(float)) {
    onednn::gemm(shape, x, weight, bias, into, false);
  } else {
    float* wide = nullptr;
    if (bias != nullptr) {
      wide = scratch<float>(shape.columns);
      for (std::int64_t i = 0; i < shape.columns; i++) wide[i] = toFloat(bias[i]);
    }
#ifdef SECATEUR_AMX
    if (wayOf(a) != amx::Way::none) return amx::multiply(tiles(a), x, weight, wide, into, false, a.packed);
#endif
    onednn::gemm(shape, x, weight, wide, into);
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
    multiply<T>(a, sum);
    if (a.approximate == LinearGeluArgs::Approximate::none) {
      activate(
          sum, y, a.y.size(), [](float x) __attribute__((always_inline)) { return geluExact(x); });
    } else {
      activate(
          sum, y, a.y.size(), [](float x) __attribute__((always_inline)) { return geluTanh(x); });
    }
  });
}

LAYOUT(linearGelu)(const LinearGeluArgs& a) { return weightLayout(a); }

KERNEL(linearRelu, F32 | BF16)(const LinearReluArgs& a) {
  if (a.y.size() == 0) return;
  withFloat(a.y.dtype, [&](auto tag) {
    using T = decltype(tag);
    T* y = a.y.as<T>();
    multiply<T>(a, y);
    activate(
        y, y, a.y.size(), [](float x) __attribute__((always_inline)) { return x <= 0 ? 0.0f : x; });
  });
}

LAYOUT(linearRelu)(const LinearReluArgs& a) { return weightLayout(a); }

}  // namespace secateur::SECATEUR_ISA
