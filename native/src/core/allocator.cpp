#include "core/allocator.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

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

Allocator::Allocator(MemorySource& source, Queue& queue, const char* device)
    : source_(source), queue_(queue), device_(device) {
  const char* off = std::getenv("SECATEUR_NO_CACHE");
  caching_ = off == nullptr || std::strcmp(off, "1") != 0;
}

// Known only once the device is open.
std::size_t Allocator::limit() {
  if (stats_.limit == 0) stats_.limit = source_.capacity();
  return stats_.limit;
}

bool Allocator::fromPool(Pool& pool, std::size_t want, bool hostWritable, Block* block) {
  const std::uint64_t done = queue_.completed();
  if (want <= small) {
    std::vector<Block>& list = pool.small[classOf(want)];
    if (list.empty()) return false;
    // The host wants one that no queued kernel may touch: the one freed longest ago.
    const std::size_t at = hostWritable ? 0 : list.size() - 1;
    if (hostWritable && list[at].freedAt > done) return false;
    *block = list[at];
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
    return true;
  }
  for (auto it = pool.large.lower_bound(want); it != pool.large.end() && fits(it->first, want); ++it) {
    if (hostWritable && it->second.freedAt > done) continue;
    *block = it->second;
    pool.large.erase(it);
    return true;
  }
  return false;
}

void Allocator::toPool(Pool& pool, Block block) {
  if (block.bytes <= small) {
    pool.small[classOf(block.bytes)].push_back(block);
  } else {
    pool.large.emplace(block.bytes, block);
  }
}

Block Allocator::allocate(std::size_t bytes, bool hostWritable) {
  const std::size_t want = caching_ ? rounded(bytes) : bytes == 0 ? 1 : bytes;
  Block block;
  if (caching_ && fromPool(capturing_ == 0 ? pool_ : captures_[capturing_], want, hostWritable, &block)) {
    stats_.cached -= block.bytes;
  } else {
    block.bytes = want;
    block.capture = capturing_;
    const auto room = [&] { return stats_.live + stats_.cached + want <= limit(); };
    if (!room() && capturing_ == 0) {
      queue_.wait();
      trim();
    }
    if (room()) {
      block.data = source_.fromSystem(want);
      if (block.data == nullptr && capturing_ == 0) {
        queue_.wait();
        trim();
        block.data = source_.fromSystem(want);
      }
    }
    if (block.data == nullptr) {
      throw Error("ERR_OOM", std::string("out of memory on ") + device_ + ": " + megabytes(bytes) + " requested, " +
                                 megabytes(stats_.live) + " live, " + megabytes(stats_.cached) + " cached, limit " +
                                 megabytes(limit()) +
                                 ". Use a smaller batch, dispose tensors, or raise the limit with memory.setLimit.");
    }
    stats_.systemAllocations++;
  }
  stats_.live += block.bytes;
  stats_.allocations++;
  if (stats_.live > stats_.peak) stats_.peak = stats_.live;
  return block;
}

void Allocator::release(Block block) {
  stats_.live -= block.bytes;
  // A step that is gone has no pool any more.
  if (block.capture != 0 && captures_.count(block.capture) == 0) block.capture = 0;
  // What belongs to a captured step is written to again by its replays.
  if (!caching_ && capturing_ == 0 && block.capture == 0) {
    queue_.drain();
    source_.toSystem(block.data);
    return;
  }
  stats_.cached += block.bytes;
  block.freedAt = queue_.enqueued();
  // What a step frees while it is captured may be read by its recorded kernels.
  if (capturing_ != 0) block.capture = capturing_;
  toPool(block.capture == 0 ? pool_ : captures_[block.capture], block);
}

void Allocator::forget(std::uint32_t capture) {
  const auto found = captures_.find(capture);
  if (found == captures_.end()) return;
  Pool freed = std::move(found->second);
  captures_.erase(found);
  const auto give = [&](Block block) {
    block.capture = 0;
    if (!caching_) {
      stats_.cached -= block.bytes;
      source_.toSystem(block.data);
      return;
    }
    block.freedAt = queue_.enqueued();
    toPool(pool_, block);
  };
  for (const std::vector<Block>& list : freed.small) {
    for (const Block& block : list) give(block);
  }
  for (const auto& entry : freed.large) give(entry.second);
}

void Allocator::trim() {
  const auto free = [&](const Block& block) {
    source_.toSystem(block.data);
    stats_.cached -= block.bytes;
  };
  for (const auto& entry : pool_.large) free(entry.second);
  pool_.large.clear();
  for (std::vector<Block>& list : pool_.small) {
    for (const Block& block : list) free(block);
    list.clear();
  }
}

}  // namespace secateur
