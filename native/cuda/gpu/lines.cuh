// Lines of neighbours in memory, a team of threads for each: they share out a line in 16-byte accesses, and a line that
// is needed more than once is kept in shared memory, so that it is read from global memory once.
//
// Every thread visits the same elements in every pass over a line, so that between passes what it keeps is its own. The
// next line may be shared out otherwise: the team waits for its last thread between lines.
#pragma once
#include "gpu/lines.h"
#include "gpu/packs.cuh"
#include "gpu/ptx.cuh"
#include "gpu/reduce.cuh"

namespace secateur::cuda {

// The threads that work on a line.
struct Team {
  int size;       // threads: 32, or all of the block
  int rank;       // of this thread
  int index;      // of the team in its block
  int count;      // teams of the block
  float* shared;  // for reductions over a block: a number a warp

  SECATEUR_GPU explicit Team(int threads, float* numbers = nullptr)
      : size(threads),
        rank(static_cast<int>(threadIdx.x) % size),
        index(static_cast<int>(threadIdx.x) / size),
        count(static_cast<int>(blockDim.x) / size),
        shared(numbers) {}

  SECATEUR_GPU std::int64_t firstLine() const { return static_cast<std::int64_t>(blockIdx.x) * count + index; }
  SECATEUR_GPU std::int64_t lineStep() const { return static_cast<std::int64_t>(gridDim.x) * count; }

  SECATEUR_GPU void wait() const {
    if (size == 32)
      __syncwarp();
    else
      __syncthreads();
  }
  // Every thread of the team gets the result.
  template <class Op>
  SECATEUR_GPU float reduce(float x, Op op, float identity) const {
    return size == 32 ? warpReduce(x, op) : blockReduce(x, op, identity, shared);
  }
  SECATEUR_GPU float sum(float x) const { return reduce(x, Add{}, 0.0f); }
};

// A line as a team shares it out. Elements `begin` to `packed` of n are moved in packs; what lies before and after, one
// by one.
template <class T>
struct Span {
  int rank, size;
  std::int64_t n, begin, packed;

  // Calls visit(Count<N>, i) for each group i .. i + N - 1 of this thread.
  template <class Visit>
  SECATEUR_GPU void each(Visit visit) const {
    constexpr int N = perPack<T>;
    const std::int64_t single = begin + n - packed;
    for (std::int64_t k = rank; k < single; k += size) visit(Count<1>{}, k < begin ? k : k - begin + packed);
#pragma unroll 2
    for (std::int64_t i = begin + N * rank; i < packed; i += N * size) visit(Count<N>{}, i);
  }
};

// For pointers to lines that are walked together. Lines of odd length begin anywhere: the packs begin at the first
// boundary, if all pointers have theirs at the same element.
template <class T, class... Others>
SECATEUR_GPU Span<T> spanOf(const Team& team, std::int64_t n, const T* first, const Others*... others) {
  constexpr int N = perPack<T>;
  const auto off = [](const auto* p) { return static_cast<int>(reinterpret_cast<std::uintptr_t>(p) & 15); };
  const bool together = ((off(first) == off(others)) && ... && true);
  const std::int64_t begin = (16 - off(first)) % 16 / static_cast<int>(sizeof(T));
  if (!together || begin + N > n) return {team.rank, team.size, n, n, n};
  return {team.rank, team.size, n, begin, begin + (n - begin) / N * N};
}

// Where a team keeps operand k of its line, addressed like the line itself, with the same alignment; null where there
// is no room.
template <class T>
SECATEUR_GPU T* roomFor(const Lines& lines, const Team& team, const Span<T>& span, unsigned char* shared, int k) {
  constexpr int N = perPack<T>;
  if (lines.room == 0) return nullptr;
  auto* room = reinterpret_cast<T*>(shared + team.index * lines.perTeam + k * lines.room);
  return span.begin < span.n ? room + (N - span.begin) % N : room;
}

struct Larger {
  SECATEUR_GPU float operator()(float a, float b) const { return fmaxf(a, b); }
};

// e^x for x <= 0. The argument's rounding costs |x| units in the last place of a result that is as small as e^x.
SECATEUR_GPU float expOf(float x) { return exp2Approx(x * 0x1.715476p+0f); }

constexpr float infinity = __builtin_huge_valf();

// What a pass over logits gathers: the largest (NaN passed over), and the sum of exponentials from there. A sum that
// has met NaN or +infinity is NaN.
struct Exponentials {
  float largest = -infinity, sum = 0;

  // Where exponentials are counted from: any finite number will do while nothing but -infinity has been seen.
  SECATEUR_GPU float origin() const { return largest == -infinity ? 0.0f : largest; }

  template <int N>
  SECATEUR_GPU void add(const float (&x)[N]) {
    float high = x[0];
#pragma unroll
    for (int j = 1; j < N; j++) high = fmaxf(high, x[j]);
    if (high > largest) {
      sum *= expOf(largest - high);
      largest = high;
    }
    const float from = origin();
#pragma unroll
    for (int j = 0; j < N; j++) sum += expOf(x[j] - from);
  }

  // Of the whole team; every thread gets the result.
  SECATEUR_GPU void reduce(const Team& team) {
    const float high = team.reduce(largest, Larger{}, -infinity);
    if (high > largest) sum *= expOf(largest - high);
    largest = high;
    sum = team.sum(sum);
  }

  // The logarithm of the sum; a line of nothing but -infinity has none.
  SECATEUR_GPU float logSum() const { return largest == -infinity && sum == 0 ? nothing() : logf(sum); }
  SECATEUR_GPU static float nothing() { return infinity - infinity; }
};

}  // namespace secateur::cuda
