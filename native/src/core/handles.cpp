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
