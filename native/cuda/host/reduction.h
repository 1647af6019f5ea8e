// Planning and launching reductions.
#pragma once
#include "gpu/reduction.h"
#include "host/launch.h"
#include "host/strided.h"

namespace secateur::cuda {

// The kernels of one reduction, named <name>Rows, <name>Columns, <name>Combine.
class ReductionKernels {
 public:
  ReductionKernels(Image& image, const char* name);
  // Reduces x over the axes of the bit mask. `stateBytes`: of the kernel's State. The rest of `p` is the caller's.
  void launch(const View& x, std::uint32_t axes, std::size_t stateBytes, ReductionParams p);

 private:
  char names_[3][64];
  Kernels rows_;
  Kernels columns_;
  Kernels combine_;
};

// The axes of a `dim` list as bits; an empty list means all.
std::uint32_t axisBits(const List<std::int64_t>& dim, int rank);
// How many elements go into one output.
std::int64_t reducedLength(const View& x, std::uint32_t axes);
// The axes of x that y is repeated along; y is aligned at the last axis.
std::uint32_t repeatedAxes(const View& y, const View& x);
// x's shape with extent 1 at the reduced axes, over other data: broadcasts against x.
View keptShape(const View& x, std::uint32_t axes, void* data, DType dtype);

}  // namespace secateur::cuda
