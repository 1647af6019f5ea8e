// The host's side of index checks (gpu/indices.h).
#pragma once
#include <cstdint>

#include "gpu/indices.h"

namespace secateur::cuda {

// A check for one launch of the op of this name.
IndexCheck checkIndices(const char* op, std::int64_t extent);
// The same for targets, one a row: they are class numbers, or the number that says not to score the row.
IndexCheck checkTargets(const char* op, std::int64_t classes, std::int64_t ignore);
// After waiting for the device: throws ERR_KERNEL for an index that was out of range.
void raiseIndexReports();

}  // namespace secateur::cuda
