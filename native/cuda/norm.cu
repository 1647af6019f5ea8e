// Norms over axes and their gradient. The Euclidean norm keeps the largest magnitude beside the sum of squares relative
// to it, so that nothing overflows on the way.
#include "norm.h"

#include "gpu/reduction.cuh"

namespace secateur::cuda {

template <class T>
struct One {
  using State = float;
  static SECATEUR_GPU State zero(const ReductionParams&) { return 0; }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) { s += fabsf(toFloat(x)); }
  static SECATEUR_GPU State merge(State a, State b) { return a + b; }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    static_cast<T*>(p.y)[i] = fromFloat<T>(s);
  }
};

struct Scaled {
  float largest, squares;  // of x / largest
};

template <class T>
struct Two {
  using State = Scaled;
  static SECATEUR_GPU State zero(const ReductionParams&) { return {0, 0}; }
  static SECATEUR_GPU State merge(const State& a, const State& b) {
    const bool ordered = a.largest >= b.largest;
    const float largest = ordered ? a.largest : b.largest, smaller = ordered ? b.largest : a.largest;
    const float squares = ordered ? a.squares : b.squares, others = ordered ? b.squares : a.squares;
    if (others == 0) return {largest, squares};
    const float ratio = smaller / largest;
    return {largest, fmaf(others * ratio, ratio, squares)};
  }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) {
    const float a = fabsf(toFloat(x));
    if (a == 0) return;
    const bool special = a != a || a > 0x1.fffffep+127f;
    s = special ? State{0x1.fffffep+127f, s.squares + a} : merge(s, State{a, 1});
  }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, const State& s) {
    static_cast<T*>(p.y)[i] = fromFloat<T>(s.largest == 0 ? 0.0f : s.largest * sqrtf(s.squares));
  }
};

template <class T>
struct Max {
  using State = float;
  static SECATEUR_GPU State zero(const ReductionParams&) { return 0; }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) {
    s = MaxNaN{}(s, fabsf(toFloat(x)));
  }
  static SECATEUR_GPU State merge(State a, State b) { return MaxNaN{}(a, b); }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    static_cast<T*>(p.y)[i] = fromFloat<T>(s);
  }
};

// Counts marks; always in f32.
template <class T>
struct Tally : One<T> {
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, float s) {
    static_cast<float*>(p.y)[i] = s;
  }
};

SECATEUR_REDUCTION(tally, f32, Tally<float>, float)
SECATEUR_REDUCTION(tally, bf16, Tally<bf16>, bf16)
SECATEUR_REDUCTION(normOne, f32, One<float>, float)
SECATEUR_REDUCTION(normOne, bf16, One<bf16>, bf16)
SECATEUR_REDUCTION(normTwo, f32, Two<float>, float)
SECATEUR_REDUCTION(normTwo, bf16, Two<bf16>, bf16)
SECATEUR_REDUCTION(normMax, f32, Max<float>, float)
SECATEUR_REDUCTION(normMax, bf16, Max<bf16>, bf16)

// The sign of x: 0 for 0, NaN for NaN.
SECATEUR_GPU float signOf(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }

template <class T, class F>
SECATEUR_GPU void gradient(const NormGradParams& p, F f) {
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal()) {
    const std::int64_t k = offsetsOf<1>(p.index, i).at[0];
    const float scale = p.scale == nullptr ? 0.0f : p.scale[k];
    static_cast<T*>(p.dx)[i] =
        fromFloat<T>(f(toFloat(static_cast<const T*>(p.x)[i]), toFloat(static_cast<const T*>(p.y)[k]), scale));
  }
}

template <class T>
SECATEUR_GPU void scales(const NormScaleParams& p) {
  for (std::int64_t k = threadIndex(); k < p.n; k += threadTotal()) {
    const float g = toFloat(static_cast<const T*>(p.g)[k]);
    const float norm = toFloat(static_cast<const T*>(p.y)[k]);
    p.scale[k] = p.divideByNorm ? (norm == 0 ? 0.0f : g / norm) : p.ties != nullptr ? g / p.ties[k] : g;
  }
}

#define GRADIENT(name, expression)                                                   \
  extern "C" __global__ void name##_f32(const __grid_constant__ NormGradParams p) {  \
    gradient<float>(p, [](float x, float norm, float scale) { return expression; }); \
  }                                                                                  \
  extern "C" __global__ void name##_bf16(const __grid_constant__ NormGradParams p) { \
    gradient<bf16>(p, [](float x, float norm, float scale) { return expression; });  \
  }

GRADIENT(gradBySign, scale* signOf(x))
GRADIENT(gradByValue, scale* x)
GRADIENT(gradAtLargest, fabsf(x) == norm ? scale * signOf(x) : 0.0f)
GRADIENT(markLargest, fabsf(x) == norm ? 1.0f : 0.0f)

extern "C" {
__global__ void scales_f32(const __grid_constant__ NormScaleParams p) { scales<float>(p); }
__global__ void scales_bf16(const __grid_constant__ NormScaleParams p) { scales<bf16>(p); }
}

}  // namespace secateur::cuda
