// Overwriting a tensor: with one value, or with another tensor that broadcasts to it. Elements are moved by their size.
#include "fill.h"

#include "gpu/broadcast.cuh"
#include "gpu/pointwise.h"

namespace secateur::cuda {

template <class T>
SECATEUR_GPU void fill(const FillParams& p) {
  const auto value = static_cast<T>(static_cast<std::int64_t>(p.bits));
  mapStored<perPack<T>>(p.n, static_cast<T*>(p.y), [=]() { return value; });
}

template <class T>
SECATEUR_GPU void copy(const BinaryParams& p) {
  if (p.same)
    return mapStored<perPack<T>>(
        p.index.n, static_cast<T*>(p.y), [](T x) { return x; }, static_cast<const T*>(p.a));
  for (std::int64_t i = threadIndex(); i < p.index.n; i += threadTotal())
    static_cast<T*>(p.y)[i] = static_cast<const T*>(p.a)[offsetsOf<1>(p.index, i).at[0]];
}

extern "C" {
__global__ void fill_4(const __grid_constant__ FillParams p) { fill<std::uint32_t>(p); }
__global__ void fill_2(const __grid_constant__ FillParams p) { fill<std::uint16_t>(p); }
__global__ void fill_1(const __grid_constant__ FillParams p) { fill<std::uint8_t>(p); }
__global__ void copy_4(const __grid_constant__ BinaryParams p) { copy<std::uint32_t>(p); }
__global__ void copy_2(const __grid_constant__ BinaryParams p) { copy<std::uint16_t>(p); }
__global__ void copy_1(const __grid_constant__ BinaryParams p) { copy<std::uint8_t>(p); }
}

}  // namespace secateur::cuda
