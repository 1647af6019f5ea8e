#pragma once

namespace secateur::cuda {

// Called after every op: its scratch memory may be used by the next one, which follows it on the stream.
void scratchReset();

// The scratch memory of one op: given back at the end, whatever happens.
struct ScratchScope {
  ScratchScope() = default;
  ~ScratchScope() { scratchReset(); }
  ScratchScope(const ScratchScope&) = delete;
  ScratchScope& operator=(const ScratchScope&) = delete;
};

}  // namespace secateur::cuda
