// Parameters of packing weights to two of every four entries, and of products with them.
#pragma once
#include "conv2d.h"

namespace secateur::cuda {

struct Pack24Params {
  const void* w;
  void* values;
  std::uint32_t* meta;
  void* valuesT;  // null: the transpose is not wanted
  std::uint32_t* metaT;
  std::int64_t rows, columns;
};

enum class Activation24 : int { none, relu, gelu };

struct Product24Params {
  const void* values;
  const std::uint32_t* meta;
  const void* x;
  const void* bias;
  void* y;
  std::int64_t rows, columns, depth;  // of the weight, of y, and dense
  std::int64_t tilesDown, tilesAcross;
  ConvGeometry geometry;  // of a convolution
  bool packed;            // x can be read 16 bytes at a time
  Activation24 activation;
};

}  // namespace secateur::cuda
