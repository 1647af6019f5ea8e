#include "host/launch.h"

#include <cstdio>
#include <cstring>
#include <string>

#include "core/error.h"
#include "host/device.h"
#include "host/live.h"

namespace secateur::cuda {

namespace {

// What a block may use without being asked for more.
constexpr unsigned ordinaryShared = 48 * 1024;
constexpr const char* suffixes[] = {"f32", "bf16", "i32", "u8"};

unsigned extent(std::int64_t n, std::int64_t limit, const char* kernel) {
  if (n > limit) {
    throw Error("ERR_CUDA", std::string(kernel) + ": a grid of " + std::to_string(n) +
                                " blocks is more than the device takes (" + std::to_string(limit) + ").");
  }
  return static_cast<unsigned>(n);
}

}  // namespace

CUfunction Image::function(const char* name, std::size_t paramBytes) {
  if (module_ == nullptr)
    check(driver().moduleLoadData(&module_, data_), (std::string("loading the kernels of ") + name_).c_str());
  CUfunction function = nullptr;
  check(driver().moduleGetFunction(&function, module_, name), name);
  // Two compilers have laid out the struct of the parameters, and a name gives no type away.
  std::size_t offset = 0, bytes = 0;
  check(driver().functionGetParamInfo(function, 0, &offset, &bytes), name);
  if (bytes != paramBytes) {
    throw Error("ERR_CUDA", std::string(name) + " takes " + std::to_string(bytes) + " bytes of parameters and gets " +
                                std::to_string(paramBytes) +
                                ": its launch names another struct. Rebuild: npm run build.");
  }
  return function;
}

Kernels::Kernels(Image& image, const char* name)
    : each_{{image, names_[0]}, {image, names_[1]}, {image, names_[2]}, {image, names_[3]}} {
  for (int i = 0; i < 4; i++) std::snprintf(names_[i], sizeof(names_[i]), "%s_%s", name, suffixes[i]);
}

BySize::BySize(Image& image, const char* name) : each_{{image, names_[0]}, {image, names_[1]}, {image, names_[2]}} {
  for (int i = 0; i < 3; i++) std::snprintf(names_[i], sizeof(names_[i]), "%s_%d", name, 1 << i);
}

std::int64_t bitsFor(DType dtype, double value) {
  const auto narrow = static_cast<float>(value);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof(bits));
  switch (dtype) {
    case DType::f32:
      return bits;
    case DType::bf16:
      // Nearest, ties to even; NaN stays NaN.
      return narrow != narrow ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    default:
      return static_cast<std::int64_t>(value);
  }
}

void launchBytes(Kernel& kernel, Grid blocks, unsigned threads, const void* params, std::size_t bytes,
                 unsigned sharedBytes) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0 || liveMode() == LiveMode::refresh) return;
  const CUfunction function = kernel.function(bytes);
  if (sharedBytes > ordinaryShared) {
    check(driver().functionSetAttribute(function, functionMaxDynamicShared, static_cast<int>(sharedBytes)),
          kernel.name());
  }
  // The driver copies the parameters before it returns.
  void* list[] = {const_cast<void*>(params)};
  check(driver().launchKernel(function, extent(blocks.x, 0x7fffffff, kernel.name()),
                              extent(blocks.y, 65535, kernel.name()), extent(blocks.z, 65535, kernel.name()), threads,
                              1, 1, sharedBytes, stream(), list, nullptr),
        kernel.name());
}

int multiprocessors() { return Gpu::get().multiprocessors(); }

std::int64_t elementBlocks(std::int64_t n, std::int64_t perBlock) {
  // Sixteen blocks of 256 threads more than fill a multiprocessor; more would only pay for their start.
  const std::int64_t most = static_cast<std::int64_t>(multiprocessors()) * 16;
  const std::int64_t blocks = (n + perBlock - 1) / perBlock;
  return blocks < most ? blocks : most;
}

CUstream stream() { return Gpu::get().stream(); }

void fillZero(void* data, std::size_t bytes) {
  if (bytes == 0 || liveMode() == LiveMode::refresh) return;
  check(driver().fillBytes(reinterpret_cast<CUdeviceptr>(data), 0, bytes, stream()), "cuMemsetD8Async");
}

void copy(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0 || liveMode() == LiveMode::refresh) return;
  check(driver().copyOnDevice(reinterpret_cast<CUdeviceptr>(to), reinterpret_cast<CUdeviceptr>(from), bytes, stream()),
        "cuMemcpyDtoDAsync");
}

}  // namespace secateur::cuda
