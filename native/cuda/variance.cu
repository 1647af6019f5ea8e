// Variance and standard deviation in one pass (Welford; pieces are joined by the formula of Chan, Golub and LeVeque),
// and their gradient.
#include "variance.h"

#include "gpu/reduction.cuh"

namespace secateur::cuda {

struct Moments {
  float count, sum, mean, squares;  // squares: the sum of squared deviations from the mean
};

template <class T, bool root>
struct Variance {
  using State = Moments;
  static SECATEUR_GPU State zero(const ReductionParams&) { return {0, 0, 0, 0}; }
  static SECATEUR_GPU void add(State& s, T value, std::int64_t, const ReductionParams&) {
    const float x = toFloat(value);
    s.count += 1;
    s.sum += x;
    const float off = x - s.mean;
    s.mean += off / s.count;
    s.squares = fmaf(off, x - s.mean, s.squares);
  }
  static SECATEUR_GPU State merge(const State& a, const State& b) {
    if (b.count == 0) return a;
    if (a.count == 0) return b;
    const float count = a.count + b.count;
    const float off = b.mean - a.mean;
    return {count, a.sum + b.sum, a.mean + off * (b.count / count),
            a.squares + b.squares + off * off * (a.count * b.count / count)};
  }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, const State& s) {
    // p.scale: what the squares are divided by. No element at all has no mean.
    const float variance = s.squares / p.scale;
    static_cast<T*>(p.y)[i] = fromFloat<T>(root ? sqrtf(variance) : variance);
    // The running mean is the more exact one, but infinity turns it into NaN.
    static_cast<float*>(p.second)[i] = s.mean - s.mean == 0 && s.count > 0 ? s.mean : s.sum / s.count;
  }
};

using VarF32 = Variance<float, false>;
using VarBf16 = Variance<bf16, false>;
using StdF32 = Variance<float, true>;
using StdBf16 = Variance<bf16, true>;
SECATEUR_REDUCTION(var, f32, VarF32, float)
SECATEUR_REDUCTION(var, bf16, VarBf16, bf16)
SECATEUR_REDUCTION(std, f32, StdF32, float)
SECATEUR_REDUCTION(std, bf16, StdBf16, bf16)

// dx = 2 g (x - mean) / divisor, and over 2 std for the standard deviation (0 where that is 0).
template <class T>
SECATEUR_GPU void varGrad(const VarGradParams& p) {
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal()) {
    const std::int64_t k = offsetsOf<1>(p.index, i).at[0];
    const float deviation = p.std != nullptr ? toFloat(static_cast<const T*>(p.std)[k]) : 0.5f;
    const float factor = deviation == 0 ? 0.0f : toFloat(static_cast<const T*>(p.g)[k]) / deviation / p.divisor;
    static_cast<T*>(p.dx)[i] = fromFloat<T>(factor * (toFloat(static_cast<const T*>(p.x)[i]) - p.mean[k]));
  }
}

extern "C" {
__global__ void varGrad_f32(const __grid_constant__ VarGradParams p) { varGrad<float>(p); }
__global__ void varGrad_bf16(const __grid_constant__ VarGradParams p) { varGrad<bf16>(p); }
}

}  // namespace secateur::cuda
