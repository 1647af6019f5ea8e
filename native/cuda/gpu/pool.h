// Pooling over the two inner axes of [N, H, W, C].
#pragma once
#include <cstdint>

#include "gpu/strided.h"

namespace secateur::cuda {

// One axis of the images, and how windows lie on it.
struct PoolAxis {
  int size;               // of the images
  int out;                // windows
  int kernel;             // 0: adaptive windows, which share out the axis
  int stride, padding;    // of sliding ones
  bool paddingIsCounted;  // in a mean

#if defined(__CUDACC__)
  struct Window {
    int begin, end;  // of the entries inside the image
    int count;       // what a mean is divided by
  };
  SECATEUR_GPU Window window(int i) const {
    if (kernel == 0) {
      const auto begin = static_cast<int>(static_cast<std::int64_t>(i) * size / out);
      const auto end = static_cast<int>((static_cast<std::int64_t>(i + 1) * size + out - 1) / out);
      return {begin, end, end - begin};
    }
    const int begin = i * stride - padding;
    const int end = min(begin + kernel, size + padding);
    const int from = max(begin, 0), to = min(end, size);
    return {from, to, paddingIsCounted ? end - begin : to - from};
  }

  // The windows that cover a place of the image, first to last; none where last < first.
  struct Cover {
    int first, last;
  };
  SECATEUR_GPU Cover cover(int place) const {
    if (kernel == 0) {
      return {static_cast<int>(static_cast<std::int64_t>(place) * out / size),
              static_cast<int>((static_cast<std::int64_t>(place + 1) * out + size - 1) / size) - 1};
    }
    const int at = place + padding;
    return {at < kernel ? 0 : (at - kernel) / stride + 1, min(at / stride, out - 1)};
  }
#endif
};

struct PoolParams {
  const void* from;
  void* to;
  const void* winner;  // of the largest value's gradient: which place of its window won
  void* winnerOut;     // of the largest value
  // Over the pixels of `to` and their groups of channels. Operand 0: where the image begins in `from`, at these
  // channels; 1 and 2: row and column of the pixel.
  Strided walk;
  PoolAxis down, across;
  std::int64_t channels;
};

}  // namespace secateur::cuda
