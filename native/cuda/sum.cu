// Sums and means over axes. Floats are summed in f32 by chunks and trees; whole numbers wrap as on the CPU.
#include "sum.h"

#include "gpu/reduction.cuh"

namespace secateur::cuda {

template <class T>
struct Sum {
  using State = float;
  static SECATEUR_GPU State zero(const ReductionParams&) { return 0; }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) { s += toFloat(x); }
  static SECATEUR_GPU State merge(State a, State b) { return a + b; }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    auto* y = static_cast<T*>(p.y);
    const float value = s / p.scale;
    y[i] = fromFloat<T>(p.accumulate ? toFloat(y[i]) + value : value);
  }
};

template <class T>
struct WholeSum {
  using State = std::uint32_t;
  static SECATEUR_GPU State zero(const ReductionParams&) { return 0; }
  static SECATEUR_GPU void add(State& s, T x, std::int64_t, const ReductionParams&) {
    s += static_cast<std::uint32_t>(x);
  }
  static SECATEUR_GPU State merge(State a, State b) { return a + b; }
  static SECATEUR_GPU void finish(const ReductionParams& p, std::int64_t i, State s) {
    static_cast<std::uint32_t*>(p.y)[i] = s;
  }
};

SECATEUR_REDUCTION(sum, f32, Sum<float>, float)
SECATEUR_REDUCTION(sum, bf16, Sum<bf16>, bf16)
SECATEUR_REDUCTION(sum, i32, WholeSum<std::int32_t>, std::int32_t)
SECATEUR_REDUCTION(sum, u8, WholeSum<std::uint8_t>, std::uint8_t)

template <class T>
SECATEUR_GPU void meanGrad(const ShareParams& p) {
  const BinaryParams& o = p.operands;
  for (std::int64_t i = threadIndex(); i < o.index.n; i += threadTotal())
    static_cast<T*>(o.y)[i] = fromFloat<T>(toFloat(static_cast<const T*>(o.a)[offsetsOf<1>(o.index, i).at[0]]) / p.n);
}

extern "C" {
__global__ void meanGrad_f32(const __grid_constant__ ShareParams p) { meanGrad<float>(p); }
__global__ void meanGrad_bf16(const __grid_constant__ ShareParams p) { meanGrad<bf16>(p); }
}

}  // namespace secateur::cuda
