#include "core/allocator.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
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

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + 0xfffff) >> 20) + " MiB"; }

}  // namespace

Allocator::Allocator(MemorySource& source, Queue& queue, const char* device)
    : source_(source), queue_(queue), device_(device), pool_(source) {
  const char* off = std::getenv("SECATEUR_NO_CACHE");
  caching_ = off == nullptr || std::strcmp(off, "1") != 0;
}

// Known only once the device is open.
std::size_t Allocator::limit() {
  if (stats_.limit == 0) stats_.limit = source_.capacity();
  return stats_.limit;
}

MemoryStats Allocator::stats() {
  limit();
  MemoryStats now = stats_;
  now.cached = cached();
  return now;
}

std::size_t Allocator::cached() const {
  std::size_t bytes = smallFree_ + keptBytes_ + pool_.heap.freeBytes();
  for (const auto& entry : captures_) bytes += entry.second.heap.freeBytes();
  return bytes;
}

Allocator::Pool& Allocator::poolOf(std::uint32_t capture) {
  const auto found = captures_.find(capture);
  return found == captures_.end() ? pool_ : found->second;
}

bool Allocator::fromPool(Pool& pool, std::size_t want, bool hostWritable, Block* block) {
  const std::uint64_t before = hostWritable ? queue_.completed() : UINT64_MAX;
  if (want > small) {
    block->data = pool.heap.take(want, before);
    return block->data != nullptr;
  }
  std::vector<Block>& list = pool.small[classOf(want)];
  if (list.empty()) return false;
  // The host wants one that no queued kernel may touch: the one freed longest ago.
  const std::size_t at = hostWritable ? 0 : list.size() - 1;
  if (list[at].freedAt > before) return false;
  block->data = list[at].data;
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
  smallFree_ -= want;
  return true;
}

bool Allocator::fromSystem(std::size_t want, bool hostWritable, Block* block) {
  if (stats_.live + cached() + want > limit()) return false;
  if (!caching_ || want <= small) {
    block->data = source_.fromSystem(want);
  } else {
    block->data = poolOf(capturing_).heap.grow(want, hostWritable ? queue_.completed() : UINT64_MAX);
  }
  return block->data != nullptr;
}

Block Allocator::allocate(std::size_t bytes, bool hostWritable) {
  Block block;
  block.bytes = caching_ ? rounded(bytes) : bytes == 0 ? 1 : bytes;
  block.capture = capturing_;
  if (!caching_ || !fromPool(poolOf(capturing_), block.bytes, hostWritable, &block)) {
    if (!fromSystem(block.bytes, hostWritable, &block) && capturing_ == 0) {
      queue_.wait();
      trim();
      fromSystem(block.bytes, hostWritable, &block);
    }
    if (block.data == nullptr) {
      throw Error("ERR_OOM", std::string("out of memory on ") + device_ + ": " + megabytes(bytes) + " requested, " +
                                 megabytes(stats_.live) + " live, " + megabytes(cached()) + " cached, limit " +
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

void Allocator::giveBack(Block block) {
  if (!caching_) {
    queue_.drain();
    source_.toSystem(block.data);
    return;
  }
  block.freedAt = queue_.enqueued();
  Pool& pool = poolOf(block.capture);
  if (block.bytes > small) return pool.heap.give(block.data, block.freedAt);
  smallFree_ += block.bytes;
  pool.small[classOf(block.bytes)].push_back(block);
}

void Allocator::release(Block block) {
  stats_.live -= block.bytes;
  // What belongs to a captured step is written to again by its replays, and what a step frees while it is captured may
  // be read by its recorded kernels.
  const std::uint32_t holder = capturing_ != 0 ? capturing_ : block.capture;
  const auto captured = captures_.find(holder);
  if (captured == captures_.end() || (caching_ && holder == block.capture)) return giveBack(block);
  captured->second.kept.push_back(block);
  keptBytes_ += block.bytes;
}

void Allocator::forget(std::uint32_t capture) {
  const auto found = captures_.find(capture);
  if (found == captures_.end()) return;
  pool_.heap.absorb(found->second.heap, queue_.enqueued());
  for (std::size_t i = 0; i < std::size(pool_.small); i++) {
    for (Block& block : found->second.small[i]) {
      block.freedAt = queue_.enqueued();
      pool_.small[i].push_back(block);
    }
  }
  const std::vector<Block> kept = std::move(found->second.kept);
  captures_.erase(found);
  for (const Block& block : kept) {
    keptBytes_ -= block.bytes;
    giveBack(block);
  }
}

void Allocator::trim() {
  pool_.heap.trim();
  for (std::vector<Block>& list : pool_.small) {
    for (const Block& block : list) {
      source_.toSystem(block.data);
      smallFree_ -= block.bytes;
    }
    list.clear();
  }
}

}  // namespace secateur
