// The table behind JavaScript's tensors: a handle is a slot's index and its generation, so that a stale handle is
// found out and never reads another tensor's memory. Only the JavaScript thread touches it.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/view.h"

namespace secateur {

// A block of device memory with an owner count (shared by the views of a tensor).
class Storage {
 public:
  Storage(Device& device, std::size_t bytes, bool hostWritable = false)
      : device_(device), block_(device.allocator().allocate(bytes, hostWritable)), bytes_(bytes) {}
  ~Storage() { device_.allocator().release(block_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return block_.data; }
  std::size_t bytes() const { return bytes_; }
  Device& device() const { return device_; }

 private:
  Device& device_;
  Block block_;
  std::size_t bytes_;
};

using Handle = std::uint32_t;

class Handles {
 public:
  Handle create(std::shared_ptr<Storage> storage, std::size_t offsetBytes, const View& like);
  // Throws ERR_DISPOSED for a handle that is not alive.
  const View& view(Handle handle) const;
  const std::shared_ptr<Storage>& storage(Handle handle) const;
  Device& device(Handle handle) const { return storage(handle)->device(); }
  void release(Handle handle);
  std::size_t alive() const { return alive_; }

 private:
  struct Slot {
    std::shared_ptr<Storage> storage;
    View view;
    std::uint32_t generation = 1;
  };
  const Slot& slot(Handle handle) const;

  static constexpr std::uint32_t indexBits = 22;
  std::vector<Slot> slots_{1};  // slot 0 stays unused: handle 0 means absent
  std::vector<std::uint32_t> free_;
  std::size_t alive_ = 0;
};

Handles& handles();

}  // namespace secateur
