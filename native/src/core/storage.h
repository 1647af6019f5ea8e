// A block of device memory with an owner count (shared by the views of a tensor), and the copies of weights in it that
// kernels read in an order of their own. Only the JavaScript thread touches it.
//
// A copy belongs to a range of bytes, so that the weights of an arena have one each. It is made when the same version
// of a weight is asked for in the same layout a second time: packing for one use only would cost more than it saves,
// and memory. It goes when any of its bytes is written, or with the storage. Like everything that is freed, its memory
// may be given away while queued kernels still read it: the next owner writes later.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/layout.h"

namespace secateur {

class Storage {
 public:
  Storage(Device& device, std::size_t bytes, bool hostWritable = false);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return block_.data; }
  std::size_t bytes() const { return bytes_; }
  Device& device() const { return device_; }

  /// The copy of bytes [begin, end) in this layout for a call that is about to be queued. None where it is the
  /// version's first, where copies are switched off, and where one would not fit below the device's limit.
  Packed packed(std::size_t begin, std::size_t end, const Layout& layout);
  /// A call that is about to be queued, or the host, writes to bytes [begin, end).
  void written(std::size_t begin, std::size_t end);

 private:
  // A version of a weight that was asked for in a layout: once, or again, and then there is a copy.
  struct Copy {
    std::size_t begin, end;
    Layout layout;
    Block block;
    // The queue's failures before the call that fills it: such a call may have been passed over.
    std::uint64_t failures;
  };
  void drop(const Copy& copy);

  Device& device_;
  Block block_;
  std::size_t bytes_;
  std::vector<Copy> copies_;
};

}  // namespace secateur
