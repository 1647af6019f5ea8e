// Launching pooling kernels (gpu/pool.cuh).
#pragma once
#include "gpu/pool.h"
#include "host/launch.h"

namespace secateur::cuda {

// Both widths of a pooling kernel, <name>_<dtype> and <name>Single_<dtype>.
class PoolKernels {
 public:
  PoolKernels(Image& image, const char* name, const char* single) : packs_(image, name), single_(image, single) {}
  // From images of one size to images of another; `p` has the axes and the winners.
  void launch(const View& from, const View& to, PoolParams p);

 private:
  Kernels packs_;
  Kernels single_;
};

template <class Args>
PoolAxis slidingAxis(const Args& a, const View& images, const View& pooled, int axis, bool paddingIsCounted) {
  return {static_cast<int>(images.dims[1 + axis]), static_cast<int>(pooled.dims[1 + axis]),
          static_cast<int>(a.kernel[axis]),        static_cast<int>(a.stride[axis]),
          static_cast<int>(a.padding[axis]),       paddingIsCounted};
}

inline PoolAxis adaptiveAxis(const View& images, const View& pooled, int axis) {
  return {static_cast<int>(images.dims[1 + axis]), static_cast<int>(pooled.dims[1 + axis]), 0, 0, 0, false};
}

}  // namespace secateur::cuda
