// Elements on the device: conversions between storage and float, and 16-byte accesses.
#pragma once
#include <cstdint>

#include "core/bf16.h"
#include "gpu/params.h"

namespace secateur::cuda {

SECATEUR_GPU float toFloat(float x) { return x; }
SECATEUR_GPU float toFloat(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }

// Rounds to the nearest, ties to even; NaN stays NaN.
template <class T>
SECATEUR_GPU T fromFloat(float x);
template <>
SECATEUR_GPU float fromFloat<float>(float x) {
  return x;
}
template <>
SECATEUR_GPU bf16 fromFloat<bf16>(float x) {
  bf16 y;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
  return y;
}

// N neighbours, moved in one access where N elements fill 4, 8 or 16 bytes, and in accesses of 16 where they fill more.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};

// The same pointer, known to point to global memory: for one that was itself read from memory.
template <class T>
SECATEUR_GPU T* inGlobal(T* pointer) {
  __builtin_assume(__isGlobal(pointer));
  return pointer;
}

// Elements of T in 16 bytes.
template <class T>
constexpr int perPack = 16 / static_cast<int>(sizeof(T));

template <class T, int N>
SECATEUR_GPU Pack<T, N> loadPack(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
// To global memory.
template <class T, int N>
SECATEUR_GPU void storePack(T* to, const Pack<T, N>& pack) {
  if constexpr (sizeof(pack) % 16 == 0) {
    // Spelled out (it is the usual store): the compiler takes a pack of 2-byte elements apart now and then.
#pragma unroll
    for (int k = 0; k < static_cast<int>(sizeof(pack)) / 16; k++)
      __stwb(reinterpret_cast<int4*>(to) + k, reinterpret_cast<const int4*>(&pack)[k]);
  } else {
    *reinterpret_cast<Pack<T, N>*>(to) = pack;
  }
}

// To shared memory.
template <class T, int N>
SECATEUR_GPU void keepPack(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// From and to global memory, what nobody needs again soon: it leaves the L2 first, and what others wait for stays.
// Packs of 16 bytes or more.
template <class T, int N>
SECATEUR_GPU Pack<T, N> loadStreamed(const T* from) {
  Pack<T, N> pack;
#pragma unroll
  for (int k = 0; k < static_cast<int>(sizeof(pack)) / 16; k++)
    reinterpret_cast<int4*>(&pack)[k] = __ldcs(reinterpret_cast<const int4*>(from) + k);
  return pack;
}
template <class T, int N>
SECATEUR_GPU void storeStreamed(T* to, const Pack<T, N>& pack) {
#pragma unroll
  for (int k = 0; k < static_cast<int>(sizeof(pack)) / 16; k++)
    __stcs(reinterpret_cast<int4*>(to) + k, reinterpret_cast<const int4*>(&pack)[k]);
}

// Whether all pointers allow accesses of this many bytes. A view may start anywhere in its storage.
template <class... T>
SECATEUR_GPU bool aligned(int bytes, const T*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) | ... | 0) & (bytes - 1)) == 0;
}

SECATEUR_GPU std::int64_t threadIndex() { return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
SECATEUR_GPU std::int64_t threadTotal() { return static_cast<std::int64_t>(gridDim.x) * blockDim.x; }

// y[i] = f(x[i]...) on the elements as they are stored: N at a time where the pointers allow it, the rest one by one. N
// is chosen so that the widest element type fills 16 bytes.
template <int N, class Out, class F, class... In>
SECATEUR_GPU void mapStored(std::int64_t n, Out* y, F f, const In*... x) {
  std::int64_t packed = 0;
  if (aligned(16, y, x...)) {
    packed = n / N * N;
    for (std::int64_t i = threadIndex() * N; i < packed; i += threadTotal() * N) {
      const auto compute = [&](const Pack<In, N>&... p) {
        Pack<Out, N> out;
#pragma unroll
        for (int j = 0; j < N; j++) out.at[j] = f(p.at[j]...);
        storePack(y + i, out);
      };
      compute(loadPack<In, N>(x + i)...);
    }
  }
  for (std::int64_t i = packed + threadIndex(); i < n; i += threadTotal()) y[i] = f(x[i]...);
}

// The same with f in float: elements are widened, the result is rounded once.
template <int N, class Out, class F, class... In>
SECATEUR_GPU void mapElements(std::int64_t n, Out* y, F f, const In*... x) {
  mapStored<N>(
      n, y, [&](auto... v) { return fromFloat<Out>(f(toFloat(v)...)); }, x...);
}

}  // namespace secateur::cuda
