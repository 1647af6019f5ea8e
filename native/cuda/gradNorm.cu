// The global norm of a list of gradients, and scaling them down to it. 4 bytes an element are read for the norm; where
// nothing has to be clipped, clipping reads the norm alone.
#include "gradNorm.h"

#include "gpu/element.cuh"
#include "gpu/reduce.cuh"

namespace secateur::cuda {

constexpr std::int64_t chunk = 8192;

// Squares of huge and of tiny numbers are kept apart, scaled by a power of two, so that none overflows or vanishes
// (Blue, 1978).
struct Squares {
  float huge = 0, middle = 0, tiny = 0;

  SECATEUR_GPU void add(float x) {
    const float a = fabsf(x);
    if (a > 0x1p60f) {
      huge = fmaf(a * 0x1p-80f, a * 0x1p-80f, huge);
    } else if (a < 0x1p-60f) {
      tiny = fmaf(a * 0x1p80f, a * 0x1p80f, tiny);
    } else {
      middle = fmaf(a, a, middle);  // NaN ends here
    }
  }
  SECATEUR_GPU void reduce(float* shared) {
    huge = blockReduce(huge, Add{}, 0.0f, shared);
    middle = blockReduce(middle, Add{}, 0.0f, shared);
    tiny = blockReduce(tiny, Add{}, 0.0f, shared);
  }
  SECATEUR_GPU float root() const {
    if (middle != middle) return middle;
    if (huge > 0) return sqrtf(huge + middle * 0x1p-80f * 0x1p-80f) * 0x1p80f;
    if (middle > 0) return sqrtf(middle + tiny * 0x1p-80f * 0x1p-80f);
    return sqrtf(tiny) * 0x1p-80f;
  }
};

extern "C" __global__ void __launch_bounds__(256) squares(const __grid_constant__ SquaresParams p) {
  __shared__ float shared[8];
  for (std::int64_t c = blockIdx.x; c * chunk < p.n; c += gridDim.x) {
    const std::int64_t end = min((c + 1) * chunk, p.n);
    const std::int64_t packed = aligned(16, p.g) ? end & ~3ll : c * chunk;
    Squares sum;
    for (std::int64_t i = c * chunk + 4 * static_cast<std::int64_t>(threadIdx.x); i < packed; i += 4 * blockDim.x) {
      const auto four = loadPack<float, 4>(p.g + i);
#pragma unroll
      for (int k = 0; k < 4; k++) sum.add(four.at[k]);
    }
    for (std::int64_t i = packed + threadIdx.x; i < end; i += blockDim.x) sum.add(p.g[i]);
    sum.reduce(shared);
    if (threadIdx.x == 0) {
      p.partial[3 * c] = sum.huge;
      p.partial[3 * c + 1] = sum.middle;
      p.partial[3 * c + 2] = sum.tiny;
    }
  }
}

// One block.
extern "C" __global__ void __launch_bounds__(256) normOf(const __grid_constant__ NormOfParams p) {
  __shared__ float shared[8];
  Squares sum;
  for (std::int64_t i = threadIdx.x; i < p.n; i += blockDim.x) {
    sum.huge += p.partial[3 * i];
    sum.middle += p.partial[3 * i + 1];
    sum.tiny += p.partial[3 * i + 2];
  }
  sum.reduce(shared);
  if (threadIdx.x == 0) *p.norm = sum.root();
}

extern "C" __global__ void clip(const __grid_constant__ ClipParams p) {
  const float ratio = p.maxNorm / (*p.norm + 1e-6f);
  // A NaN norm makes the factor NaN.
  if (ratio >= 1) return;
  mapStored<4>(
      p.n, p.g, [=](float g) { return g * ratio; }, static_cast<const float*>(p.g));
}

}  // namespace secateur::cuda
