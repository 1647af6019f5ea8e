// The table behind JavaScript's tensors: a handle is a slot's index and its generation, so that a stale handle is
// found out and never reads another tensor's memory. Only the JavaScript thread touches it.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/storage.h"
#include "core/view.h"

namespace secateur {

using Handle = std::uint32_t;

class Handles {
 public:
  Handle create(std::shared_ptr<Storage> storage, std::size_t offsetBytes, const View& like);
  // Throws ERR_DISPOSED for a handle that is not alive.
  const View& view(Handle handle) const;
  const std::shared_ptr<Storage>& storage(Handle handle) const;
  Device& device(Handle handle) const { return storage(handle)->device(); }
  // Before anything writes to the tensor: copies of what it holds are no longer true.
  void written(Handle handle) const;
  // The tensor in a private layout, for a call that is about to be queued.
  Packed packed(Handle handle, const Layout& layout) const;
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
