// The caching allocator of one in-order device.
//
// Freeing returns a block to the pool at once, although queued kernels may still use it: whoever gets it next writes to
// it through the same in-order queue, hence later. Only the host can overtake the queue, so a block that the host will
// write directly must have been freed before work that has already finished (`hostWritable`).
//
// While a step is captured, what is allocated and freed stays with the capture: a replay writes to the same addresses,
// whoever may have got them meanwhile.
//
// SECATEUR_NO_CACHE=1 gives every tensor memory of its exact size from the system and frees it at once (after waiting
// for the queue): slow, and what a memory checker needs to see the bounds.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace secateur {

class Queue;

// Where an allocator gets its memory.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Null when there is none.
  virtual void* fromSystem(std::size_t bytes) = 0;
  virtual void toSystem(void* data) = 0;
  virtual std::size_t capacity() = 0;
};

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
    captures_[capture];
  }
  void endCapture() { capturing_ = 0; }
  // The step is gone: its free memory serves everybody again, the rest when it is freed.
  void forget(std::uint32_t capture);
  MemoryStats stats() {
    limit();
    return stats_;
  }
  void resetPeak() { stats_.peak = stats_.live; }
  void setLimit(std::size_t bytes) { stats_.limit = bytes; }

 private:
  struct Pool {
    // Small blocks by the power of two of their size, the last freed first; large ones by size.
    std::vector<Block> small[32];
    std::multimap<std::size_t, Block> large;
  };
  bool fromPool(Pool& pool, std::size_t want, bool hostWritable, Block* block);
  void toPool(Pool& pool, Block block);
  std::size_t limit();

  MemorySource& source_;
  Queue& queue_;
  const char* device_;
  bool caching_;
  Pool pool_;
  std::map<std::uint32_t, Pool> captures_;
  std::uint32_t capturing_ = 0;
  MemoryStats stats_;
};

}  // namespace secateur
