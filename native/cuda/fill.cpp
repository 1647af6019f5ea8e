#include "ops/fill.h"

#include "host/rearrange.h"

namespace secateur::cuda {

KERNEL(fill, ANY)(const FillArgs& a) { setAll(a.y, a.value); }

KERNEL(copy, ANY)(const CopyArgs& a) { repeat(a.from, a.y); }

}  // namespace secateur::cuda
