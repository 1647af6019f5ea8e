// The global norm of a list of gradients, and scaling them down to it, in one launch for all of them. 4 bytes an
// element are read for the norm, or 6 where a bf16 gradient goes through PDP's mask on the way; where nothing has to be
// clipped, clipping reads the norm alone.
#include "gradNorm.h"

#include "gpu/element.cuh"
#include "gpu/pdp.cuh"
#include "gpu/reduce.cuh"
#include "gpu/rows.cuh"

namespace secateur::cuda {

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

// A chunk's part of a gradient, g[i] = at(w[i], g[i]). Which thread adds what is the same wherever the tensors lie and
// whatever their type, so that a masked gradient gives the same bits here as after it has been written.
template <class T, class At>
SECATEUR_GPU void addChunk(Squares& sum, const GradRow& row, std::int64_t chunk, At at) {
  constexpr int pack = 4;
  const std::int64_t begin = chunk * chunkSize;
  const auto length = static_cast<int>(row.n - begin < chunkSize ? row.n - begin : chunkSize);
  const bool masked = row.w != nullptr;
  const float* w = inGlobal(row.w) + begin;
  const T* g = inGlobal(static_cast<const T*>(row.g)) + begin;
  const bool packed = aligned(16, row.w, static_cast<const T*>(row.g));
#pragma unroll 2
  for (int i = threadIdx.x * pack; i < length; i += chunkThreads * pack) {
    if (packed && i + pack <= length) {
      const auto gradients = loadPack<T, pack>(g + i);
      Pack<float, pack> weights{};
      if (masked) weights = loadPack<float, pack>(w + i);
#pragma unroll
      for (int j = 0; j < pack; j++) sum.add(at(weights.at[j], toFloat(gradients.at[j])));
    } else {
      for (int j = i; j < min(i + pack, length); j++) sum.add(at(masked ? w[j] : 0.0f, toFloat(g[j])));
    }
  }
}

template <class T>
SECATEUR_GPU void squares(const SquaresParams& p) {
  __shared__ float shared[chunkThreads / 32];
  __shared__ unsigned found;
  for (std::int64_t chunk = blockIdx.x; chunk < p.grads.chunks; chunk += gridDim.x) {
    const GradRow row = p.grads.rows[rowOf(p.grads.rows, p.grads.count, chunk, &found)];
    const std::int64_t own = chunk - row.firstChunk;
    const auto asItIs = [](float, float g) { return g; };
    Squares sum;
    if (row.w == nullptr) {
      addChunk<float>(sum, row, own, asItIs);
    } else if (p.counts[2 * row.layer] == 0) {
      addChunk<T>(sum, row, own, asItIs);
    } else {
      const PdpMask mask(p.levels[3 * row.layer + 2], p.tau);
      addChunk<T>(sum, row, own, [&](float w, float g) { return mask.gradient(w, g); });
    }
    sum.reduce(shared);
    if (threadIdx.x == 0) {
      p.partial[3 * chunk] = sum.huge;
      p.partial[3 * chunk + 1] = sum.middle;
      p.partial[3 * chunk + 2] = sum.tiny;
    }
  }
}

extern "C" {
__global__ void __launch_bounds__(chunkThreads) squares_f32(const __grid_constant__ SquaresParams p) {
  squares<float>(p);
}
__global__ void __launch_bounds__(chunkThreads) squares_bf16(const __grid_constant__ SquaresParams p) {
  squares<bf16>(p);
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

extern "C" __global__ void __launch_bounds__(chunkThreads) clip(const __grid_constant__ ClipParams p) {
  __shared__ unsigned found;
  const float factor = p.clip.factor();
  if (factor == 1) return;
  for (std::int64_t chunk = blockIdx.x; chunk < p.grads.chunks; chunk += gridDim.x) {
    const GradRow row = p.grads.rows[rowOf(p.grads.rows, p.grads.count, chunk, &found)];
    const std::int64_t begin = (chunk - row.firstChunk) * chunkSize;
    const auto length = static_cast<int>(row.n - begin < chunkSize ? row.n - begin : chunkSize);
    float* g = inGlobal(static_cast<float*>(row.g)) + begin;
    const int packed = aligned(16, g) ? length & ~3 : 0;
    for (int i = threadIdx.x * 4; i < packed; i += chunkThreads * 4) {
      auto four = loadPack<float, 4>(g + i);
#pragma unroll
      for (int j = 0; j < 4; j++) four.at[j] = __fmul_rn(four.at[j], factor);
      storePack(g + i, four);
    }
    for (int i = packed + threadIdx.x; i < length; i += chunkThreads) g[i] = __fmul_rn(g[i], factor);
    __syncthreads();
  }
}

}  // namespace secateur::cuda
