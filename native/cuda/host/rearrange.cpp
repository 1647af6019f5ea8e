#include "host/rearrange.h"

#include "fill.h"
#include "gpu/pointwise.h"
#include "gpu/rearrange.h"

CUDA_IMAGE(rearrange)
CUDA_IMAGE(fill)

namespace secateur::cuda {

namespace {

char* at(const View& v, std::int64_t offset) {
  return static_cast<char*>(v.data) + offset * static_cast<std::int64_t>(bytesOf(v.dtype));
}

// The axis along which an operand has neighbours, if it is long enough to be worth a tile; -1 otherwise.
int runAxis(const Strided& s, int operand) {
  for (int d = 0; d < s.rank; d++) {
    if (s.strides[operand][d] == 1 && s.dims[d].divisor >= 8) return d;
  }
  return -1;
}

}  // namespace

void rearrange(const Strided& index, const View& to, std::int64_t toOffset, const View& from, std::int64_t fromOffset) {
  static BySize general(images::rearrange, "rearrange");
  static BySize tiles(images::rearrange, "transpose");
  if (index.n == 0) return;
  const int columns = runAxis(index, 0);
  const int rows = runAxis(index, 1);
  if (columns < 0 || rows < 0 || columns == rows) {
    launch(general[to.dtype], elementBlocks(index.n), 256,
           RearrangeParams{at(to, toOffset), at(from, fromOffset), index});
    return;
  }
  TransposeParams p;
  p.to = at(to, toOffset);
  p.from = at(from, fromOffset);
  p.rows = index.dims[rows].divisor;
  p.columns = index.dims[columns].divisor;
  p.toRow = index.strides[0][rows];
  p.fromColumn = index.strides[1][columns];
  for (int d = 0; d < index.rank; d++) {
    if (d == rows || d == columns) continue;
    addAxis(p.outer, index.dims[d].divisor, {index.strides[0][d], index.strides[1][d]});
  }
  const std::int64_t count = (p.rows + 31) / 32 * ((p.columns + 31) / 32) * p.outer.n;
  launch(tiles[to.dtype], elementBlocks(count, 1), 256, p);
}

void repeat(const View& x, const View& y) {
  static BySize kernels(images::fill, "copy");
  launch(kernels[y.dtype], elementBlocks(y.size()), 256,
         BinaryParams{x.data, nullptr, y.data, broadcastTo(y, {&x}), sameElements(y, {&x})});
}

void setAll(const View& y, double value) {
  static BySize kernels(images::fill, "fill");
  const std::int64_t n = y.size();
  if (n == 0) return;
  launch(kernels[y.dtype], elementBlocks(n), 256, FillParams{y.data, n, liveWhole(bitsFor(y.dtype, value))});
}

}  // namespace secateur::cuda
