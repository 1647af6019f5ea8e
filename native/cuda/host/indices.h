// The host's side of index checks (gpu/indices.h).
#pragma once
#include <cstdint>

#include "gpu/indices.h"

namespace secateur::cuda {

// A check for one launch of the op of this name.
IndexCheck checkIndices(const char* op, std::int64_t extent);
// After waiting for the device: throws ERR_KERNEL for an index that was out of range.
void raiseIndexReports();

}  // namespace secateur::cuda
