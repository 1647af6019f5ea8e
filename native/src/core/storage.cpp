#include "core/storage.h"

#include <algorithm>
#include <iterator>

namespace secateur {

namespace {

// A storage with more weights than this is read at ever new places: what is known of it is forgotten.
constexpr std::size_t most = 1024;

}  // namespace

Storage::Storage(Device& device, std::size_t bytes, bool hostWritable)
    : device_(device), block_(device.allocator().allocate(bytes, hostWritable)), bytes_(bytes) {}

Storage::~Storage() {
  for (const Copy& copy : copies_) drop(copy);
  device_.allocator().release(block_);
}

void Storage::drop(const Copy& copy) {
  if (copy.block.data == nullptr) return;
  device_.packing().bytes -= copy.block.bytes;
  device_.allocator().release(copy.block);
}

Packed Storage::packed(std::size_t begin, std::size_t end, const Layout& layout) {
  Packing& packing = device_.packing();
  // Once for this call, or for as long as the version lives.
  const auto reordered = [&](Packed packed) {
    packing.reorders++;
    return packed;
  };
  const auto none = [&] { return layout.always ? reordered({}) : Packed{}; };
  if (!packing.on) return none();
  const std::uint64_t failures = device_.queue().failures();
  const auto found = std::find_if(copies_.begin(), copies_.end(), [&](const Copy& c) {
    return c.begin == begin && c.end == end && c.layout.op == layout.op &&
           std::equal(std::begin(c.layout.form), std::end(c.layout.form), std::begin(layout.form));
  });
  if (found == copies_.end()) {
    if (copies_.size() >= most) {
      for (const Copy& copy : copies_) drop(copy);
      copies_.clear();
    }
    copies_.push_back({begin, end, layout, {}, failures});
    return none();
  }
  if (found->block.data != nullptr && found->failures == failures) return {found->block.data, false};
  found->failures = failures;
  if (found->block.data == nullptr) {
    const MemoryStats stats = device_.allocator().stats();
    if (stats.live + stats.cached + layout.bytes > stats.limit) return none();
    found->block = device_.allocator().allocate(layout.bytes, false);
    packing.bytes += found->block.bytes;
  }
  return reordered({found->block.data, true});
}

void Storage::written(std::size_t begin, std::size_t end) {
  const auto stale = std::remove_if(copies_.begin(), copies_.end(), [&](const Copy& copy) {
    if (copy.end <= begin || copy.begin >= end) return false;
    drop(copy);
    return true;
  });
  copies_.erase(stale, copies_.end());
}

}  // namespace secateur
