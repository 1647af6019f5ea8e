// The caching allocator of one in-order device.
//
// Freeing returns a block to the pool at once, although queued kernels may still use it: whoever gets it next writes to
// it through the same in-order queue, hence later. Only the host can overtake the queue, so a block that the host will
// write directly must have been freed before work that has already finished (`hostWritable`).
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace secateur {

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
};

class Allocator {
 public:
  Allocator();
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Throws ERR_OOM with requested, live and cached bytes.
  Block allocate(std::size_t bytes, bool hostWritable);
  void release(Block block);
  // Gives the cached blocks back to the system. The queue must be idle.
  void trim();
  MemoryStats stats() const { return stats_; }
  void resetPeak() { stats_.peak = stats_.live; }
  void setLimit(std::size_t bytes) { stats_.limit = bytes; }

 private:
  void* fromSystem(std::size_t bytes);
  bool fromPool(std::size_t want, bool hostWritable, Block* block);

  // Small blocks by the power of two of their size, the last freed first; large ones by size.
  std::vector<Block> small_[32];
  std::multimap<std::size_t, Block> pool_;
  MemoryStats stats_;
  std::size_t physical_;
};

Allocator& allocator();

}  // namespace secateur
