// Packs of neighbours as floats.
#pragma once
#include "gpu/element.cuh"

namespace secateur::cuda {

// A length known to the compiler, as the argument of a generic function.
template <int N>
struct Count {
  static constexpr int value = N;
};

template <class T, int N>
SECATEUR_GPU void widen(const Pack<T, N>& pack, float (&x)[N]) {
#pragma unroll
  for (int j = 0; j < N; j++) x[j] = toFloat(pack.at[j]);
}

// Reads elements i .. i + N - 1.
template <int N, class T>
SECATEUR_GPU void fetch(const T* from, std::int64_t i, float (&x)[N]) {
  widen(loadPack<T, N>(from + i), x);
}

// The same, and leaves a copy in `room`, in shared memory, unless that is null.
template <int N, class T>
SECATEUR_GPU void fetchAndKeep(const T* from, std::int64_t i, T* room, float (&x)[N]) {
  const auto pack = loadPack<T, N>(from + i);
  if (room != nullptr) keepPack(room + i, pack);
  widen(pack, x);
}

// Reads parameters i .. i + N - 1, which may begin anywhere; where there are none, all are `missing`.
template <int N>
SECATEUR_GPU void fetchOr(float missing, const float* from, std::int64_t i, float (&x)[N]) {
  if (from != nullptr && N % 4 == 0 && aligned(16, from + i)) return fetch(from, i, x);
#pragma unroll
  for (int j = 0; j < N; j++) x[j] = from != nullptr ? from[i + j] : missing;
}

template <int N, class T>
SECATEUR_GPU void put(T* to, std::int64_t i, const float (&x)[N]) {
  Pack<T, N> pack;
#pragma unroll
  for (int j = 0; j < N; j++) pack.at[j] = fromFloat<T>(x[j]);
  storePack(to + i, pack);
}

// Writes floats i .. i + N - 1, which may begin anywhere and lie in shared memory.
template <int N>
SECATEUR_GPU void putAnywhere(float* to, std::int64_t i, const float (&x)[N]) {
  if (N % 4 == 0 && aligned(16, to + i)) {
    Pack<float, N> pack;
#pragma unroll
    for (int j = 0; j < N; j++) pack.at[j] = x[j];
    keepPack(to + i, pack);
  } else {
#pragma unroll
    for (int j = 0; j < N; j++) to[i + j] = x[j];
  }
}

}  // namespace secateur::cuda
