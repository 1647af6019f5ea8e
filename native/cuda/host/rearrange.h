// Rearranging elements: axes are merged where both sides step over them alike, then the kernel that fits is launched.
#pragma once
#include "host/launch.h"
#include "host/strided.h"

namespace secateur::cuda {

// A walk over the elements, `to` and `from` being operands 0 and 1 of `index`. Offsets are in elements.
void rearrange(const Strided& index, const View& to, std::int64_t toOffset, const View& from, std::int64_t fromOffset);

// y = x, repeated along the axes that x lacks or has once.
void repeat(const View& x, const View& y);

// Fills a tensor with one value.
void setAll(const View& y, double value);

}  // namespace secateur::cuda
