#include "host/product.h"

#include <algorithm>

CUDA_IMAGE(product)

namespace secateur::cuda {

namespace {

constexpr std::int64_t largeTile = 128, smallTile = 64;
// A piece shorter than this costs more in its partial result than it gains.
constexpr std::int64_t shortestPiece = 256;
constexpr std::int64_t mostPieces = 64;
// Slices of every tile's depth divide it.
constexpr std::int64_t depthUnit = 32;

std::int64_t up(std::int64_t x, std::int64_t unit) { return (x + unit - 1) / unit; }

}  // namespace

ProductPlan planProduct(DType dtype, std::int64_t batches, std::int64_t rows, std::int64_t columns,
                        std::int64_t depth) {
  const std::int64_t wanted = multiprocessors();
  ProductPlan plan;
  plan.large =
      batches * up(rows, largeTile) * up(columns, largeTile) >= wanted && rows > smallTile && columns > smallTile;
  const std::int64_t tile = plan.large ? largeTile : smallTile;
  ProductGrid& g = plan.grid;
  g.rows = rows;
  g.columns = columns;
  g.depth = depth;
  g.tilesDown = up(rows, tile);
  g.tilesAcross = up(columns, tile);
  const std::int64_t tiles = batches * g.tilesDown * g.tilesAcross;
  const std::int64_t pieces = tiles == 0 ? 1 : std::min({2 * wanted / tiles, depth / shortestPiece, mostPieces});
  g.splitDepth = up(up(depth, std::max<std::int64_t>(pieces, 1)), depthUnit) * depthUnit;
  g.splits = std::max<std::int64_t>(up(depth, std::max<std::int64_t>(g.splitDepth, 1)), 1);
  plan.blocks = tiles * g.splits;
  plan.threads = dtype == DType::bf16 && !plan.large ? 128 : 256;
  return plan;
}

float* partialResults(const ProductPlan& plan, std::int64_t batches) {
  const ProductGrid& g = plan.grid;
  return g.splits == 1 ? nullptr : scratch<float>(batches * g.splits * g.rows * g.columns);
}

void sumPieces(DType dtype, const ProductPlan& plan, const ProductOutput& out, std::int64_t batches, Kernels* after) {
  if (out.partial == nullptr) return;
  static Kernels sum(images::product, "productSum");
  launch((after == nullptr ? sum : *after)[dtype], elementBlocks(batches * plan.grid.rows * plan.grid.columns, 256),
         256, ProductSumParams{plan.grid, out, batches});
}

bool readsPacked(DType dtype, const void* data, std::int64_t stride) {
  const std::int64_t width = 16 / static_cast<std::int64_t>(bytesOf(dtype));
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % width == 0;
}

}  // namespace secateur::cuda
