// Where the elements of a tensor lie under another shape or order: up to three operands walked together over one index
// space. Plain data, made by host/strided.h.
#pragma once
#include <cstdint>

#include "core/view.h"
#include "gpu/params.h"

namespace secateur::cuda {

// Division of numbers below 2^31 by a constant, as a multiplication (Granlund and Montgomery, 1994).
struct FastDivide {
  std::uint32_t divisor = 1;
  std::uint32_t multiplier = 1;
  std::uint32_t shift = 0;
};

constexpr int maxOperands = 3;

struct Strided {
  std::int64_t n = 1;  // elements of the index space
  int rank = 0;
  FastDivide dims[maxRank];  // outermost first
  std::int64_t strides[maxOperands][maxRank] = {};
};

#if defined(__CUDACC__)

SECATEUR_GPU std::uint32_t quotient(std::uint32_t x, const FastDivide& d) {
  return (__umulhi(x, d.multiplier) + x) >> d.shift;
}

// Where element i lies in each operand.
template <int operands>
struct Offsets {
  std::int64_t at[operands];
};

template <int operands>
SECATEUR_GPU Offsets<operands> offsetsOf(const Strided& s, std::int64_t i) {
  Offsets<operands> o = {};
  if (s.n >> 31 == 0) {
    auto rest = static_cast<std::uint32_t>(i);
#pragma unroll
    for (int d = maxRank - 1; d >= 0; d--) {
      if (d >= s.rank) continue;
      const std::uint32_t q = quotient(rest, s.dims[d]);
      const std::uint32_t at = rest - q * s.dims[d].divisor;
      rest = q;
#pragma unroll
      for (int k = 0; k < operands; k++) o.at[k] += at * s.strides[k][d];
    }
  } else {
    auto rest = static_cast<std::uint64_t>(i);
#pragma unroll
    for (int d = maxRank - 1; d >= 0; d--) {
      if (d >= s.rank) continue;
      const std::uint64_t q = rest / s.dims[d].divisor;
      const std::uint64_t at = rest - q * s.dims[d].divisor;
      rest = q;
#pragma unroll
      for (int k = 0; k < operands; k++) o.at[k] += static_cast<std::int64_t>(at) * s.strides[k][d];
    }
  }
  return o;
}

#endif

}  // namespace secateur::cuda
