// Indices that come from data are checked by the kernel that uses them: no address is formed from one that is out of
// range. The first bad one is reported to the host, which finds it when it waits for the device.
#pragma once
#include <cstdint>

#include "gpu/params.h"

namespace secateur::cuda {

struct IndexCheck {
  unsigned long long* report = nullptr;  // 0, or position + 1 above the index
  std::int64_t extent = 0;

#if defined(__CUDACC__)
  SECATEUR_GPU bool holds(std::int32_t index, std::int64_t position) const {
    if (index >= 0 && index < extent) return true;
    const auto packed = static_cast<unsigned long long>(position + 1) << 32 | static_cast<std::uint32_t>(index);
    atomicCAS(report, 0ull, packed);
    return false;
  }
#endif
};

}  // namespace secateur::cuda
