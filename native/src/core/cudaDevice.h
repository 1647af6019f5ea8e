// The GPU as a device: what the backend library offers through its table, behind the queue and the allocator.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/device.h"

namespace secateur {

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(const BackendTable& table);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  bool hasKernel(std::uint32_t op) const override { return op < kernels_.size() && kernels_[op]; }
  void run(std::uint32_t op, const void* args) override;
  void wait() override;
  void settle() override;
  void upload(void* to, std::size_t bytes, bool fresh, const std::function<void(void*)>& fill) override;
  void download(const void* from, std::size_t bytes, const std::function<void(const void*)>& read) override;
  void* fromSystem(std::size_t bytes) override;
  void toSystem(void* data) override;
  std::size_t capacity() override;

  // A step that is recorded instead of run. Its calls are numbered from 0 in the order they are made; those that hold
  // numbers which change are kept, so that a replay can write new ones.
  class Recording;
  // Gives the step's number.
  std::uint32_t beginCapture();
  // Gives the number of recorded launches and copies; throws, and drops the step, when something could not be recorded.
  std::size_t endCapture();
  bool capturing() const { return recording_ != nullptr; }
  // The task to queue in place of `task` while a step is recorded.
  std::unique_ptr<Task> recorded(std::uint32_t op, std::shared_ptr<class RefreshableTask> task);
  // Queues a replay. `updates`: for each call with new numbers its number, how many values follow, and the values.
  void replay(std::uint32_t graph, std::vector<double> updates);
  void releaseGraph(std::uint32_t graph);

 private:
  const BackendTable& table_;
  std::vector<bool> kernels_;
  std::map<std::uint32_t, std::shared_ptr<Recording>> recordings_;
  std::shared_ptr<Recording> recording_;
};

// An op whose changing numbers can be read again.
class RefreshableTask : public Task {
 public:
  // Reads the scalars and the random range from `values`.
  virtual void refresh(const double* values, std::size_t count) = 0;
  virtual const void* args() const = 0;
};

// The library's table, opened at the first call. Throws ERR_CUDA_UNAVAILABLE.
const BackendTable& cudaBackend();
// cudaDevice() with its type.
CudaDevice& openCuda();
// Where it will stand. Touched before the handle table is made, so that it outlives the table.
std::unique_ptr<CudaDevice>& cudaSlot();

}  // namespace secateur
