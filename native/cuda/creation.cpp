#include "creation.h"

#include <cstring>
#include <vector>

#include "host/indices.h"
#include "host/rearrange.h"
#include "ops/creation.h"

CUDA_IMAGE(creation)

namespace secateur::cuda {

KERNEL(full, ANY)(const FullArgs& a) { setAll(a.y, a.value); }

// Made on the host, where double precision costs nothing: whole numbers come out exact, and floats as on the CPU.
KERNEL(arange, ANY)(const ArangeArgs& a) {
  const auto n = static_cast<std::size_t>(a.y.size());
  const std::size_t bytes = bytesOf(a.y.dtype);
  std::vector<char> host(n * bytes);
  for (std::size_t i = 0; i < n; i++) {
    const std::int64_t bits = bitsFor(a.y.dtype, a.start + static_cast<double>(i) * a.step);
    std::memcpy(host.data() + i * bytes, &bits, bytes);
  }
  copy(a.y.data, tableBytes(host.data(), host.size()), host.size());
}

KERNEL(rand, F32 | BF16)(const RandArgs& a) {
  static Kernels kernels(images::creation, "rand");
  const std::int64_t n = a.y.size();
  launch(kernels[a.y.dtype], elementBlocks(n), 256, RandomParams{a.y.data, n, liveRandom(a.random)});
}

KERNEL(randn, F32 | BF16)(const RandnArgs& a) {
  static Kernels kernels(images::creation, "randn");
  const std::int64_t n = a.y.size();
  launch(kernels[a.y.dtype], elementBlocks(n, 512), 256, RandomParams{a.y.data, n, liveRandom(a.random)});
}

KERNEL(oneHot, I32)(const OneHotArgs& a) {
  static BySize kernels(images::creation, "oneHot");
  setAll(a.y, 0);
  const std::int64_t count = a.indices.size();
  launch(kernels[a.y.dtype], elementBlocks(count), 256,
         OneHotParams{a.indices.as<std::int32_t>(), a.y.data, count, bitsFor(a.y.dtype, 1),
                      checkIndices("oneHot", a.classes)});
}

}  // namespace secateur::cuda
