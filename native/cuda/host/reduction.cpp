#include "host/reduction.h"

#include <cstdio>

namespace secateur::cuda {

namespace {

// Elements a warp, and a thread, reduces on its own.
constexpr std::int64_t rowChunk = 4096;
constexpr std::int64_t columnChunk = 256;

}  // namespace

ReductionKernels::ReductionKernels(Image& image, const char* name)
    : rows_(image, (std::snprintf(names_[0], sizeof(names_[0]), "%sRows", name), names_[0])),
      columns_(image, (std::snprintf(names_[1], sizeof(names_[1]), "%sColumns", name), names_[1])),
      combine_(image, (std::snprintf(names_[2], sizeof(names_[2]), "%sCombine", name), names_[2])) {}

void ReductionKernels::launch(const View& x, std::uint32_t axes, std::size_t stateBytes, ReductionParams p) {
  const Strides of = stridesOf(x);
  p.x = x.data;
  p.kept = {};
  p.reduced = {};
  for (int d = 0; d < x.rank; d++) addAxis((axes >> d & 1) != 0 ? p.reduced : p.kept, x.dims[d], {of.of[d]});
  p.outputs = p.kept.n;
  p.length = p.reduced.n;
  if (p.outputs == 0) return;
  const Strided& r = p.reduced;
  const bool neighbours = r.rank == 0 || r.strides[0][r.rank - 1] == 1 || p.outputs == 1;
  p.chunk = neighbours ? rowChunk : columnChunk;
  p.chunks = p.length == 0 ? 1 : (p.length + p.chunk - 1) / p.chunk;
  if (p.chunks > 1) p.partial = scratchBytes(static_cast<std::size_t>(p.chunks * p.outputs) * stateBytes);
  const std::int64_t work = p.outputs * p.chunks;
  if (neighbours)
    cuda::launch(rows_[x.dtype], elementBlocks(work, 8), 256, p);
  else
    cuda::launch(columns_[x.dtype], elementBlocks(work, 128), 128, p);
  if (p.chunks > 1) cuda::launch(combine_[x.dtype], elementBlocks(p.outputs, 8), 256, p);
}

std::uint32_t axisBits(const List<std::int64_t>& dim, int rank) {
  if (dim.size() == 0) return (1u << rank) - 1;
  std::uint32_t bits = 0;
  for (const std::int64_t d : dim) bits |= 1u << (d < 0 ? d + rank : d);
  return bits;
}

std::int64_t reducedLength(const View& x, std::uint32_t axes) {
  std::int64_t n = 1;
  for (int d = 0; d < x.rank; d++) n *= (axes >> d & 1) != 0 ? x.dims[d] : 1;
  return n;
}

std::uint32_t repeatedAxes(const View& y, const View& x) {
  std::uint32_t bits = 0;
  for (int d = 0; d < x.rank; d++) {
    const int own = d - (x.rank - y.rank);
    if (own < 0 || y.dims[own] != x.dims[d]) bits |= 1u << d;
  }
  return bits;
}

View keptShape(const View& x, std::uint32_t axes, void* data, DType dtype) {
  View v = x;
  v.data = data;
  v.dtype = dtype;
  for (int d = 0; d < x.rank; d++) {
    if ((axes >> d & 1) != 0) v.dims[d] = 1;
  }
  return v;
}

}  // namespace secateur::cuda
