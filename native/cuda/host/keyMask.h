// A mask of keys for attention by a library that adds a bias to the scores.
#pragma once
#include "core/view.h"

namespace secateur::cuda {

// Scratch memory like the mask: what is added to the scores.
const float* keyBias(const View& keyMask);
// After the forward pass: queries that saw hidden keys alone give zeros, and say so in lse.
void mendBlindQueries(const View& y, const View& lse);
// Scratch memory like lse, for the gradient: such queries have none.
const float* statsOfSeeing(const View& lse);

}  // namespace secateur::cuda
