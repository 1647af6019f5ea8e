// Scratch memory of the executor thread: a bump allocator that is reset after every op and keeps what it has grown to.
#pragma once
#include <cstddef>

namespace secateur {

void scratchReset();
std::size_t scratchReserved();

// The scratch memory of one op: given back at the end, whatever happens.
struct ScratchScope {
  ScratchScope() = default;
  ~ScratchScope() { scratchReset(); }
  ScratchScope(const ScratchScope&) = delete;
  ScratchScope& operator=(const ScratchScope&) = delete;
};

}  // namespace secateur
