// Where tensors live and ops run: a queue that does things in order, an allocator, and the way data gets there and
// back.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/allocator.h"
#include "core/layout.h"
#include "core/queue.h"

namespace secateur {

// What a device does about private layouts (storage.h).
struct Packing {
  bool on = true;
  // Memory in copies of weights; part of what the allocator counts as live.
  std::size_t bytes = 0;
  // How often a weight was brought into another order, for one call or for more.
  std::size_t reorders = 0;
};

class Device : public MemorySource {
 public:
  explicit Device(const char* name) : name_(name), allocator_(*this, queue_, name) {}
  ~Device() override = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const char* name() const { return name_; }
  Queue& queue() { return queue_; }
  Allocator& allocator() { return allocator_; }
  Packing& packing() { return packing_; }

  virtual bool hasKernel(std::uint32_t op) const = 0;
  // Runs one op; on the queue's thread.
  virtual void run(std::uint32_t op, const void* args) = 0;
  // The layout in which the op's kernel would like its weight; asked before the call is queued.
  virtual Layout layout(std::uint32_t, const void*) const { return {}; }
  // Waits for everything asked for so far; throws the first error since the last wait, naming the op.
  virtual void wait() = 0;
  // On the queue's thread: waits until what it started is done.
  virtual void settle() {}
  // Has `fill` write `bytes` of host memory that become the contents of `to`, in the queue's order. `fresh`: nobody has
  // used the memory since it was allocated as host-writable.
  virtual void upload(void* to, std::size_t bytes, bool fresh, const std::function<void(void*)>& fill) = 0;
  // Waits, then shows `read` the contents of `from`.
  virtual void download(const void* from, std::size_t bytes, const std::function<void(const void*)>& read) = 0;
  // Memory that belongs to no tensor, for the statistics.
  virtual std::size_t scratchBytes() const { return 0; }

 private:
  const char* name_;
  Queue queue_;
  Allocator allocator_;
  Packing packing_;
};

enum class DeviceCode : std::uint32_t { cpu, cuda };

Device& cpuDevice();
// Throws ERR_CUDA_UNAVAILABLE with the reason.
Device& cudaDevice();
Device& deviceOf(DeviceCode code);

}  // namespace secateur
