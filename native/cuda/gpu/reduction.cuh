// Reductions in two steps. First pieces of fixed length: a warp takes one where neighbours in memory are reduced, a
// thread where neighbours are different outputs, so that either way lanes read neighbours. Then a warp for each output
// combines its pieces. All in an order that depends on the shape alone.
//
// A reduction is a type R with
//   State                               what is known of some elements (trivially copyable)
//   zero(p)                             of none
//   add(state, x, r, p)                 one more: value and number
//   merge(a, b)                         of two neighbouring stretches, a before b
//   finish(p, output, state)            writes the result
#pragma once
#include "gpu/element.cuh"
#include "gpu/reduce.cuh"
#include "gpu/reduction.h"

namespace secateur::cuda {

template <class State>
SECATEUR_GPU State shuffleDown(const State& s, int offset) {
  static_assert(sizeof(State) % 4 == 0, "a state is made of whole words");
  State out;
  const auto* from = reinterpret_cast<const std::uint32_t*>(&s);
  auto* to = reinterpret_cast<std::uint32_t*>(&out);
#pragma unroll
  for (int k = 0; k < static_cast<int>(sizeof(State) / 4); k++) to[k] = __shfl_down_sync(allLanes, from[k], offset);
  return out;
}

// Of lane 0: the states of all lanes, in order.
template <class R>
SECATEUR_GPU typename R::State mergeWarp(typename R::State s) {
#pragma unroll
  for (int offset = 1; offset < 32; offset <<= 1) {
    const auto other = shuffleDown(s, offset);
    // Lanes beyond the warp bring their own state; what they make is never used.
    s = R::merge(s, other);
  }
  return s;
}

template <class R>
SECATEUR_GPU void keep(const ReductionParams& p, std::int64_t output, std::int64_t chunk, const typename R::State& s) {
  if (p.chunks == 1)
    R::finish(p, output, s);
  else
    static_cast<typename R::State*>(p.partial)[chunk * p.outputs + output] = s;
}

// Neighbours are reduced: each lane takes a run of the chunk's elements, 32 apart.
template <class R, class T>
SECATEUR_GPU void reduceRows(const ReductionParams& p) {
  const auto* x = static_cast<const T*>(p.x);
  const int lane = threadIdx.x & 31;
  for (std::int64_t w = threadIndex() >> 5; w < p.outputs * p.chunks; w += threadTotal() >> 5) {
    const std::int64_t output = w / p.chunks, chunk = w - output * p.chunks;
    const T* from = x + offsetsOf<1>(p.kept, output).at[0];
    const std::int64_t end = min((chunk + 1) * p.chunk, p.length);
    auto s = R::zero(p);
    for (std::int64_t r = chunk * p.chunk + lane; r < end; r += 32)
      R::add(s, from[offsetsOf<1>(p.reduced, r).at[0]], r, p);
    s = mergeWarp<R>(s);
    if (lane == 0) keep<R>(p, output, chunk, s);
  }
}

// Neighbours are different outputs: a thread each.
template <class R, class T>
SECATEUR_GPU void reduceColumns(const ReductionParams& p) {
  const auto* x = static_cast<const T*>(p.x);
  for (std::int64_t w = threadIndex(); w < p.outputs * p.chunks; w += threadTotal()) {
    const std::int64_t chunk = w / p.outputs, output = w - chunk * p.outputs;
    const T* from = x + offsetsOf<1>(p.kept, output).at[0];
    const std::int64_t end = min((chunk + 1) * p.chunk, p.length);
    auto s = R::zero(p);
    for (std::int64_t r = chunk * p.chunk; r < end; r++) R::add(s, from[offsetsOf<1>(p.reduced, r).at[0]], r, p);
    keep<R>(p, output, chunk, s);
  }
}

// The pieces of each output: a lane takes neighbouring ones, so that they merge in order.
template <class R>
SECATEUR_GPU void combineChunks(const ReductionParams& p) {
  const auto* partial = static_cast<const typename R::State*>(p.partial);
  const int lane = threadIdx.x & 31;
  const std::int64_t each = (p.chunks + 31) / 32;
  for (std::int64_t output = threadIndex() >> 5; output < p.outputs; output += threadTotal() >> 5) {
    auto s = R::zero(p);
    const std::int64_t end = min((lane + 1) * each, p.chunks);
    for (std::int64_t c = lane * each; c < end; c++) s = R::merge(s, partial[c * p.outputs + output]);
    s = mergeWarp<R>(s);
    if (lane == 0) R::finish(p, output, s);
  }
}

}  // namespace secateur::cuda

// The three kernels of a reduction R over elements of type T.
#define SECATEUR_REDUCTION(name, suffix, R, T)                                                                       \
  extern "C" __global__ void name##Rows_##suffix(const __grid_constant__ ReductionParams p) { reduceRows<R, T>(p); } \
  extern "C" __global__ void name##Columns_##suffix(const __grid_constant__ ReductionParams p) {                     \
    reduceColumns<R, T>(p);                                                                                          \
  }                                                                                                                  \
  extern "C" __global__ void name##Combine_##suffix(const __grid_constant__ ReductionParams p) { combineChunks<R>(p); }
