// What the host side of an op uses: its image, its kernels, launching them on the device's stream, and memory and
// numbers that outlive the call exactly as long as the kernels need them.
//
//   CUDA_IMAGE(relu)                                     // the compiled relu.cu
//   namespace secateur::cuda {
//   KERNEL(relu, F32 | BF16)(const ReluArgs& a) {
//     static Kernels forward(images::relu, "relu");      // relu_f32, relu_bf16
//     launch(forward[a.x.dtype], elementBlocks(n), 256, ReluParams{...});
//   }
#pragma once
#define SECATEUR_ISA cuda
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "api/driver.h"
#include "core/kernel.h"
#include "gpu/params.h"

namespace secateur::cuda {

// A fatbin linked into this library; loaded into the context at the first launch of one of its kernels.
class Image {
 public:
  constexpr Image(const char* name, const unsigned char* data) noexcept : name_(name), data_(data) {}
  ~Image() = default;
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  CUfunction function(const char* name, std::size_t paramBytes);
  const char* name() const { return name_; }

 private:
  const char* name_;
  const unsigned char* data_;
  CUmodule module_ = nullptr;
};

class Kernel {
 public:
  Kernel(Image& image, const char* name) : image_(image), name_(name) {}
  // The kernel, whose one parameter has `paramBytes`. Throws ERR_CUDA when the compiled one has another size.
  CUfunction function(std::size_t paramBytes) {
    if (function_ == nullptr) function_ = image_.function(name_, paramBytes);
    return function_;
  }
  const char* name() const { return name_; }

 private:
  Image& image_;
  const char* name_;
  CUfunction function_ = nullptr;
};

// The instances of one kernel for the dtypes, named <name>_f32, <name>_bf16, <name>_i32, <name>_u8. A name that the
// image lacks is found out at the first use.
class Kernels {
 public:
  Kernels(Image& image, const char* name);
  Kernel& operator[](DType t) { return each_[static_cast<int>(t)]; }

 private:
  char names_[4][64];
  Kernel each_[4];
};

// The instances of one kernel for element sizes, named <name>_4, <name>_2, <name>_1: for kernels that move elements.
class BySize {
 public:
  BySize(Image& image, const char* name);
  Kernel& operator[](DType t) { return each_[bytesOf(t) / 2]; }

 private:
  char names_[3][64];
  Kernel each_[3];
};

struct Grid {
  std::int64_t x, y, z;
  // A number is a grid.
  Grid(std::int64_t blocksX, std::int64_t blocksY = 1, std::int64_t blocksZ = 1) : x(blocksX), y(blocksY), z(blocksZ) {}
};

void launchBytes(Kernel& kernel, Grid blocks, unsigned threads, const void* params, std::size_t bytes,
                 unsigned sharedBytes);

// Launches a kernel whose one argument is `params`. A grid without blocks launches nothing.
template <class Params>
void launch(Kernel& kernel, Grid blocks, unsigned threads, const Params& params, unsigned sharedBytes = 0) {
  static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= 4000, "parameters are plain and small");
  launchBytes(kernel, blocks, threads, &params, sizeof(Params), sharedBytes);
}

int multiprocessors();
// Blocks for a grid-stride loop over n elements, `perBlock` of them a block and turn: enough to fill the device.
std::int64_t elementBlocks(std::int64_t n, std::int64_t perBlock = 1024);

// Step-to-step numbers (see params.h). Call them in the same order every time.
Number live(double value);
Whole liveWhole(std::int64_t value);
RandomRange liveRandom(const Random& range);

// The bits of one element with this value, widened: for kernels that move elements.
std::int64_t bitsFor(DType dtype, double value);

// A copy of a small host array in device memory, valid for the kernels this op launches; in a captured step it is
// written anew before every replay.
const void* tableBytes(const void* host, std::size_t bytes);
template <class T>
const T* table(const T* host, std::size_t n) {
  static_assert(std::is_trivially_copyable_v<T>, "a table is plain data");
  return static_cast<const T*>(tableBytes(host, n * sizeof(T)));
}

// scratch<T>(n) of core/kernel.h gives uninitialised device memory here.
void fillZero(void* data, std::size_t bytes);
void copy(void* to, const void* from, std::size_t bytes);
CUstream stream();

}  // namespace secateur::cuda

#define CUDA_IMAGE(stem)                                  \
  extern "C" const unsigned char secateur_image_##stem[]; \
  namespace secateur::cuda::images {                      \
  inline Image stem(#stem, secateur_image_##stem);        \
  }
