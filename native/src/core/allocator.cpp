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

// The exponent of a small block's size.
int classOf(std::size_t bytes) { return __builtin_ctzll(bytes); }

// A pooled large block may serve a request of at least 3/4 of its size.
bool fits(std::size_t have, std::size_t want) { return have - want <= have / 4; }

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 0xfffff) >> 20) + " MiB"; }

}  // namespace

Allocator::Allocator()
    : physical_(static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
  stats_.limit = physical_;
}

Allocator::~Allocator() { trim(); }

void* Allocator::fromSystem(std::size_t bytes) {
  const bool large = bytes > small;
  void* data = nullptr;
  if (posix_memalign(&data, large ? std::size_t{2} << 20 : 64, bytes) != 0) return nullptr;
  // Fewer, larger pages: a fresh 4 KiB page costs 0.19 ms a MiB.
  if (large) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

bool Allocator::fromPool(std::size_t want, bool hostWritable, Block* block) {
  const std::uint64_t done = queue().completed();
  if (want <= small) {
    std::vector<Block>& list = small_[classOf(want)];
    if (list.empty()) return false;
    // The host wants one that no queued kernel may touch: the one freed longest ago.
    const std::size_t at = hostWritable ? 0 : list.size() - 1;
    if (hostWritable && list[at].freedAt > done) return false;
    *block = list[at];
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
    return true;
  }
  for (auto it = pool_.lower_bound(want); it != pool_.end() && fits(it->first, want); ++it) {
    if (hostWritable && it->second.freedAt > done) continue;
    *block = it->second;
    pool_.erase(it);
    return true;
  }
  return false;
}

Block Allocator::allocate(std::size_t bytes, bool hostWritable) {
  const std::size_t want = rounded(bytes);
  Block pooled;
  if (fromPool(want, hostWritable, &pooled)) {
    stats_.cached -= pooled.bytes;
    stats_.live += pooled.bytes;
    stats_.allocations++;
    if (stats_.live > stats_.peak) stats_.peak = stats_.live;
    return pooled;
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
  if (block.bytes <= small) {
    small_[classOf(block.bytes)].push_back(block);
  } else {
    pool_.emplace(block.bytes, block);
  }
}

void Allocator::trim() {
  for (auto& entry : pool_) std::free(entry.second.data);
  pool_.clear();
  for (std::vector<Block>& list : small_) {
    for (const Block& block : list) std::free(block.data);
    list.clear();
  }
  stats_.cached = 0;
}

Allocator& allocator() {
  static Allocator instance;
  return instance;
}

}  // namespace secateur
