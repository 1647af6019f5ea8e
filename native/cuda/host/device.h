// The one GPU of the process: its context, stream and properties.
#pragma once
#include <cstddef>
#include <string>

#include "api/driver.h"

namespace secateur::cuda {

class Gpu {
 public:
  // Opens the device at the first call. Throws ERR_CUDA_UNAVAILABLE.
  static Gpu& get();
  ~Gpu() = default;
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  // Any thread that calls the driver makes the context its own first.
  void makeCurrent() const;
  CUstream stream() const { return stream_; }
  // Waits for all work; throws what went wrong in it.
  void synchronize() const;

  const std::string& name() const { return name_; }
  int capability() const { return capability_; }  // 80, 90, 100, ...
  int multiprocessors() const { return multiprocessors_; }
  int sharedBytesOptin() const { return sharedBytesOptin_; }
  std::size_t l2Bytes() const { return l2Bytes_; }
  std::size_t memoryBytes() const { return memoryBytes_; }
  int attribute(DeviceAttribute which) const;

 private:
  Gpu();

  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  std::string name_;
  int capability_ = 0;
  int multiprocessors_ = 0;
  int sharedBytesOptin_ = 0;
  std::size_t l2Bytes_ = 0;
  std::size_t memoryBytes_ = 0;
};

}  // namespace secateur::cuda
