#include "core/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/queue.h"

namespace secateur {

namespace {

constexpr std::size_t small = std::size_t{1} << 20;

// Small sizes in powers of two, so that they fit each other; large ones in steps of 256 KiB, so that little is lost.
std::size_t rounded(std::size_t bytes) {
  if (bytes <= 64) return 64;
  if (bytes > small) return (bytes + 0x3ffff) & ~std::size_t{0x3ffff};
  std::size_t size = 64;
  while (size < bytes) size <<= 1;
  return size;
}

// A pooled block may serve a request of at least 3/4 of its size; small ones only their own class.
bool fits(std::size_t have, std::size_t want) { return want > small ? have - want <= have / 4 : have == want; }

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 0xfffff) >> 20) + " MiB"; }

}  // namespace

Allocator::Allocator()
    : physical_(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
  stats_.limit = physical_;
}

Allocator::~Allocator() {
  for (auto& entry : pool_) std::free(entry.second.data);
}

void* Allocator::fromSystem(std::size_t bytes) {
  const bool large = bytes > small;
  void* data = nullptr;
  if (posix_memalign(&data, large ? std::size_t{2} << 20 : 64, bytes) != 0) return nullptr;
  // Fewer, larger pages: a fresh 4 KiB page costs 0.19 ms a MiB.
  if (large) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

Block Allocator::allocate(std::size_t bytes, bool hostWritable) {
  const std::size_t want = rounded(bytes);
  const std::uint64_t done = queue().completed();
  for (auto it = pool_.lower_bound(want); it != pool_.end() && fits(it->first, want); ++it) {
    if (hostWritable && it->second.freedAt > done) continue;
    Block block = it->second;
    pool_.erase(it);
    stats_.cached -= block.bytes;
    stats_.live += block.bytes;
    stats_.allocations++;
    if (stats_.live > stats_.peak) stats_.peak = stats_.live;
    return block;
  }
  Block block;
  block.bytes = want;
  if (stats_.live + stats_.cached + want > stats_.limit && stats_.cached > 0) {
    queue().wait();
    trim();
  }
  if (stats_.live + want <= stats_.limit) {
    block.data = fromSystem(want);
    if (block.data == nullptr) {
      queue().wait();
      trim();
      block.data = fromSystem(want);
    }
  }
  if (block.data == nullptr) {
    throw Error("ERR_OOM", "out of memory on cpu: " + megabytes(bytes) + " requested, " + megabytes(stats_.live) +
                               " live, " + megabytes(stats_.cached) + " cached, limit " + megabytes(stats_.limit) +
                               ". Use a smaller batch, dispose tensors, or raise the limit with memory.setLimit.");
  }
  stats_.live += want;
  stats_.allocations++;
  stats_.systemAllocations++;
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  return block;
}

void Allocator::release(Block block) {
  stats_.live -= block.bytes;
  stats_.cached += block.bytes;
  block.freedAt = queue().enqueued();
  pool_.emplace(block.bytes, block);
}

void Allocator::trim() {
  for (auto& entry : pool_) std::free(entry.second.data);
  pool_.clear();
  stats_.cached = 0;
}

Allocator& allocator() {
  static Allocator instance;
  return instance;
}

}  // namespace secateur
