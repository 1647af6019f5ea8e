#include "core/handles.h"

#include <utility>

#include "core/error.h"

namespace secateur {

Handle Handles::create(std::shared_ptr<Storage> storage, std::size_t offsetBytes, const View& like) {
  std::uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    index = static_cast<std::uint32_t>(slots_.size());
    if (index >> indexBits != 0)
      throw Error("ERR_OOM", "more than four million tensors are alive: dispose some, or work in scope(...).");
    slots_.emplace_back();
  }
  Slot& s = slots_[index];
  s.view = like;
  s.view.present = true;
  s.view.data = static_cast<char*>(storage->data()) + offsetBytes;
  s.storage = std::move(storage);
  alive_++;
  return s.generation << indexBits | index;
}

const Handles::Slot& Handles::slot(Handle handle) const {
  const std::uint32_t index = handle & ((1u << indexBits) - 1);
  if (index == 0 || index >= slots_.size() || slots_[index].generation != handle >> indexBits ||
      slots_[index].storage == nullptr) {
    throw Error("ERR_DISPOSED", "this tensor was disposed.");
  }
  return slots_[index];
}

const View& Handles::view(Handle handle) const { return slot(handle).view; }

const std::shared_ptr<Storage>& Handles::storage(Handle handle) const { return slot(handle).storage; }

namespace {

struct Range {
  std::size_t begin, end;
};

Range rangeOf(const View& view, const Storage& storage) {
  const auto begin =
      static_cast<std::size_t>(static_cast<const char*>(view.data) - static_cast<const char*>(storage.data()));
  return {begin, begin + static_cast<std::size_t>(view.size()) * bytesOf(view.dtype)};
}

}  // namespace

void Handles::written(Handle handle) const {
  const Slot& s = slot(handle);
  const Range range = rangeOf(s.view, *s.storage);
  s.storage->written(range.begin, range.end);
}

Packed Handles::packed(Handle handle, const Layout& layout) const {
  const Slot& s = slot(handle);
  const Range range = rangeOf(s.view, *s.storage);
  return s.storage->packed(range.begin, range.end, layout);
}

void Handles::release(Handle handle) {
  slot(handle);
  const std::uint32_t index = handle & ((1u << indexBits) - 1);
  Slot& s = slots_[index];
  s.storage.reset();
  s.generation = s.generation == (1u << (32 - indexBits)) - 1 ? 1 : s.generation + 1;
  free_.push_back(index);
  alive_--;
}

Handles& handles() {
  static Handles instance;
  return instance;
}

}  // namespace secateur
