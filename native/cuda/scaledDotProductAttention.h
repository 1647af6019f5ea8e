// Parameters of attention.
#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

// q is [batch, heads, queries, d], k and v are [batch, heads, keys, d].
struct AttentionShape {
  std::int64_t queries, keys, heads;
  int d;
  int slices;  // of the columns of a result; a block computes one
  bool causal;
  bool packed;  // whether 16 bytes can be read at once at every line
  float scale;
};

struct AttentionParams {
  AttentionShape shape;
  const void* q;
  const void* k;
  const void* v;
  const std::uint8_t* keyMask;  // or null
  void* y;
  float* lse;
};

// Each query's sum of g y, over rows of d.
struct AttentionDeltaParams {
  const void* g;
  const void* y;
  float* delta;
  std::int64_t rows;
  int d;
};

struct AttentionGradParams {
  AttentionShape shape;
  const void* q;
  const void* k;
  const void* v;
  const std::uint8_t* keyMask;
  const void* g;
  const float* lse;
  const float* delta;  // like lse
  void* dq;
  void* dk;
  void* dv;
};

// How attention is cut: a block has `attentionRows` rows of its own and passes over all others, a tile at a time.
constexpr int attentionRows = 64;
constexpr int attentionThreads = 128;
constexpr int forwardOthers(int elementBytes) { return elementBytes == 2 ? 64 : 32; }
constexpr int backwardOthers(int elementBytes, int width) { return elementBytes == 2 && width == 64 ? 64 : 32; }

// Shared memory of a block: tiles whose lines are padded by 16 bytes, what the kernels note of 32 or 64 others, and in
// f32 the room in which factors are exchanged. The kernels check that this is enough.
constexpr unsigned attentionBytes(int elementBytes, int width, int lines, int others) {
  const int exchange = elementBytes == 2 ? 16 : attentionThreads / 32 * 16 * 36 * 4;
  return static_cast<unsigned>(lines * (width * elementBytes + 16) + others * 12 + exchange);
}
constexpr unsigned forwardBytes(int elementBytes, int width) {
  const int others = forwardOthers(elementBytes);
  return attentionBytes(elementBytes, width, attentionRows + 2 * others, others);
}
constexpr unsigned backwardBytes(int elementBytes, int width) {
  const int others = backwardOthers(elementBytes, width);
  return attentionBytes(elementBytes, width, 2 * attentionRows + 2 * others, others);
}

}  // namespace secateur::cuda
