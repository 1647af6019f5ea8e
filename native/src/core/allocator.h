// The caching allocator of one in-order device.
//
// Freeing returns a block to the pool at once, although queued kernels may still use it: whoever gets it next writes to
// it through the same in-order queue, hence later. Only the host can overtake the queue, so a block that the host will
// write directly must have been freed before work that has already finished (`hostWritable`).
//
// While a step is captured, what is allocated and freed stays with the capture: a replay writes to the same addresses,
// whoever may have got them meanwhile.
//
// Small blocks have sizes of powers of two and are kept apart; large ones are split and merged (heap.h).
//
// SECATEUR_NO_CACHE=1 gives every tensor memory of its exact size from the system and frees it at once (after waiting
// for the queue): slow, and what a memory checker needs to see the bounds.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "core/heap.h"

namespace secateur {

class Queue;

struct MemoryStats {
  std::size_t live = 0;
  std::size_t peak = 0;
  std::size_t cached = 0;
  std::size_t limit = 0;
  std::size_t allocations = 0;
  std::size_t systemAllocations = 0;
};

struct Block {
  void* data = nullptr;
  std::size_t bytes = 0;
  // Number of the last queue entry that may touch the block's former contents.
  std::uint64_t freedAt = 0;
  // The captured step it belongs to; 0: none.
  std::uint32_t capture = 0;
};

class Allocator {
 public:
  Allocator(MemorySource& source, Queue& queue, const char* device);
  ~Allocator() = default;
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Throws ERR_OOM with requested, live and cached bytes.
  Block allocate(std::size_t bytes, bool hostWritable);
  void release(Block block);
  // Gives the cached blocks back to the system. The queue must be idle.
  void trim();
  // Between these two, memory belongs to the captured step of this number (not 0).
  void beginCapture(std::uint32_t capture) {
    capturing_ = capture;
    captures_.try_emplace(capture, source_);
  }
  void endCapture() { capturing_ = 0; }
  // The step is gone: its free memory serves everybody again, the rest when it is freed.
  void forget(std::uint32_t capture);
  MemoryStats stats();
  void resetPeak() { stats_.peak = stats_.live; }
  void setLimit(std::size_t bytes) { stats_.limit = bytes; }

 private:
  struct Pool {
    explicit Pool(MemorySource& source) : heap(source) {}
    // By the power of two of their size, the last freed first.
    std::vector<Block> small[32];
    Heap heap;
    // Freed while this step was captured, from elsewhere: its recorded kernels may read them.
    std::vector<Block> kept;
  };
  // The pool that a block of this captured step is in.
  Pool& poolOf(std::uint32_t capture);
  bool fromPool(Pool& pool, std::size_t want, bool hostWritable, Block* block);
  bool fromSystem(std::size_t want, bool hostWritable, Block* block);
  void giveBack(Block block);
  std::size_t cached() const;
  std::size_t limit();

  MemorySource& source_;
  Queue& queue_;
  const char* device_;
  bool caching_;
  Pool pool_;
  std::map<std::uint32_t, Pool> captures_;
  std::uint32_t capturing_ = 0;
  // Bytes of all free small blocks, and of all that are kept.
  std::size_t smallFree_ = 0;
  std::size_t keptBytes_ = 0;
  MemoryStats stats_;
};

}  // namespace secateur
