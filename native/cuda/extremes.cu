// The largest and the smallest element over axes, and their gradient: those that equal the extreme share it.
#include "extremes.h"

#include "gpu/reduction.cuh"

namespace secateur::cuda {

template <class T>
struct Limits;
template <>
struct Limits<float> {
  static SECATEUR_GPU float lowest() { return __uint_as_float(0xff800000u); }
  static SECATEUR_GPU float highest() { return __uint_as_float(0x7f800000u); }
};
template <>
struct Limits<std::int32_t> {
  static SECATEUR_GPU std::int32_t lowest() { return static_cast<std::int32_t>(0x80000000u); }
  static SECATEUR_GPU std::int32_t highest() { return 0x7fffffff; }
};

SECATEUR_GPU float comparable(float x) { return x; }
SECATEUR_GPU float comparable(bf16 x) { return toFloat(x); }
SECATEUR_GPU std::int32_t comparable(std::int32_t x) { return x; }
SECATEUR_GPU std::int32_t comparable(std::uint8_t x) { return x; }
SECATEUR_GPU void put(float& y, float x) { y = x; }
SECATEUR_GPU void put(bf16& y, float x) { y = fromFloat<bf16>(x); }
SECATEUR_GPU void put(std::int32_t& y, std::int32_t x) { y = x; }
SECATEUR_GPU void put(std::uint8_t& y, std::int32_t x) { y = static_cast<std::uint8_t>(x); }

template <class T, bool largest>
struct Extreme {
  using State = decltype(comparable(T{}));
  static SECATEUR_GPU State zero(const ReductionParams&) {
    return largest ? Limits<State>::lowest() : Limits<State>::highest();
  }
  // NaN wins.
  static SECATEUR_GPU State merge(State a, State b) {
    if (a != a) return a;
    if (b != b) return b;
    return largest ? (a > b ? a : b) : (a < b ? a : b);
  }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) { s = merge(s, comparable(x)); }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    put(static_cast<T*>(p.y)[i], s);
  }
};

#define BOTH(suffix, T)                                 \
  using Largest_##suffix = Extreme<T, true>;            \
  using Smallest_##suffix = Extreme<T, false>;          \
  SECATEUR_REDUCTION(amax, suffix, Largest_##suffix, T) \
  SECATEUR_REDUCTION(amin, suffix, Smallest_##suffix, T)
BOTH(f32, float)
BOTH(bf16, bf16)
BOTH(i32, std::int32_t)
BOTH(u8, std::uint8_t)

// share[k] = g[k] / number of marks; the gradient g is `other`.
template <class T>
struct Share {
  using State = float;
  static SECATEUR_GPU State zero(const ReductionParams&) { return 0; }
  static SECATEUR_GPU void add(State& s, T mark, std::int64_t, const ReductionParams&) { s += toFloat(mark); }
  static SECATEUR_GPU State merge(State a, State b) { return a + b; }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    static_cast<float*>(p.y)[i] = toFloat(static_cast<const T*>(p.other)[i]) / s;
  }
};
SECATEUR_REDUCTION(share, f32, Share<float>, float)
SECATEUR_REDUCTION(share, bf16, Share<bf16>, bf16)

template <class T>
SECATEUR_GPU void mark(const ExtremeParams& p) {
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal()) {
    const std::int64_t k = offsetsOf<1>(p.index, i).at[0];
    const bool equal = toFloat(static_cast<const T*>(p.x)[i]) == toFloat(static_cast<const T*>(p.y)[k]);
    static_cast<T*>(p.dx)[i] = fromFloat<T>(equal ? 1.0f : 0.0f);
  }
}
template <class T>
SECATEUR_GPU void give(const ExtremeParams& p) {
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal()) {
    T& d = static_cast<T*>(p.dx)[i];
    if (toFloat(d) != 0) d = fromFloat<T>(p.share[offsetsOf<1>(p.index, i).at[0]]);
  }
}

extern "C" {
__global__ void mark_f32(const __grid_constant__ ExtremeParams p) { mark<float>(p); }
__global__ void mark_bf16(const __grid_constant__ ExtremeParams p) { mark<bf16>(p); }
__global__ void give_f32(const __grid_constant__ ExtremeParams p) { give<float>(p); }
__global__ void give_bf16(const __grid_constant__ ExtremeParams p) { give<bf16>(p); }
}

}  // namespace secateur::cuda
