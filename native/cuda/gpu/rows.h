#pragma once
#include "gpu/params.h"

namespace secateur::cuda {

// Elements a block works on before it looks for the next chunk.
constexpr std::int64_t chunkSize = 16384;
constexpr unsigned chunkThreads = 256;

// An empty tensor has a chunk too, so that somebody looks at its row.
constexpr std::int64_t chunksOf(std::int64_t n) { return n == 0 ? 1 : (n + chunkSize - 1) / chunkSize; }

}  // namespace secateur::cuda
