#include "core/heap.h"

#include <iterator>

namespace secateur {

void Heap::markFree(Chunks::iterator chunk) {
  chunk->second.free = true;
  free_.emplace(chunk->second.bytes, chunk->first);
  freeBytes_ += chunk->second.bytes;
}

void Heap::markUsed(Chunks::iterator chunk) {
  chunk->second.free = false;
  free_.erase({chunk->second.bytes, chunk->first});
  freeBytes_ -= chunk->second.bytes;
}

void* Heap::take(std::size_t bytes, std::uint64_t before) {
  for (auto it = free_.lower_bound({bytes, nullptr}); it != free_.end(); ++it) {
    const auto chunk = chunks_.find(it->second);
    if (chunk->second.freedAt > before) continue;
    markUsed(chunk);
    const std::size_t rest = chunk->second.bytes - bytes;
    if (rest > 0) {
      chunk->second.bytes = bytes;
      markFree(chunks_.emplace(chunk->first + bytes, Chunk{rest, chunk->second.freedAt, true}).first);
    }
    return chunk->first;
  }
  return nullptr;
}

// The end of a segment: its last chunk if that is free, and what was never used.
void* Heap::extend(std::map<char*, Segment>::iterator segment, std::size_t bytes, std::uint64_t before) {
  Segment& s = segment->second;
  char* const end = segment->first + s.used;
  if (s.used > 0) {
    const auto last = std::prev(chunks_.lower_bound(end));
    Chunk& chunk = last->second;
    if (chunk.free && chunk.freedAt <= before && chunk.bytes < bytes && bytes - chunk.bytes <= s.bytes - s.used) {
      markUsed(last);
      s.used += bytes - chunk.bytes;
      chunk.bytes = bytes;
      return last->first;
    }
  }
  if (s.bytes - s.used < bytes) return nullptr;
  s.used += bytes;
  chunks_.emplace(end, Chunk{bytes, 0, false});
  return end;
}

void* Heap::grow(std::size_t bytes, std::uint64_t before) {
  for (auto segment = segments_.begin(); segment != segments_.end(); ++segment) {
    if (void* const data = extend(segment, bytes, before)) return data;
  }
  std::size_t size = source_.segment(bytes);
  void* data = source_.fromSystem(size);
  if (data == nullptr && size > bytes) {
    size = bytes;
    data = source_.fromSystem(size);
  }
  if (data == nullptr) return nullptr;
  return extend(segments_.emplace(static_cast<char*>(data), Segment{size, 0}).first, bytes, before);
}

void Heap::give(void* data, std::uint64_t freedAt) {
  auto chunk = chunks_.find(static_cast<char*>(data));
  chunk->second.freedAt = freedAt;
  // A segment of its own may follow another without a gap.
  const auto joins = [&](Chunks::iterator next) {
    return next != chunks_.end() && next->second.free && segments_.count(next->first) == 0;
  };
  const auto merge = [&](Chunks::iterator first, Chunks::iterator second) {
    first->second.bytes += second->second.bytes;
    if (second->second.freedAt > first->second.freedAt) first->second.freedAt = second->second.freedAt;
    chunks_.erase(second);
  };
  const auto next = std::next(chunk);
  if (joins(next) && next->first == chunk->first + chunk->second.bytes) {
    markUsed(next);
    merge(chunk, next);
  }
  if (segments_.count(chunk->first) == 0) {
    const auto previous = std::prev(chunk);
    if (previous->second.free) {
      markUsed(previous);
      merge(previous, chunk);
      chunk = previous;
    }
  }
  markFree(chunk);
}

void Heap::trim() {
  for (auto segment = segments_.begin(); segment != segments_.end();) {
    const auto chunk = chunks_.find(segment->first);
    const bool whole = chunk->second.free && chunk->second.bytes == segment->second.used;
    if (!whole) {
      ++segment;
      continue;
    }
    markUsed(chunk);
    chunks_.erase(chunk);
    source_.toSystem(segment->first);
    segment = segments_.erase(segment);
  }
}

void Heap::absorb(Heap& other, std::uint64_t freedAt) {
  for (auto& entry : other.chunks_) {
    if (entry.second.free) entry.second.freedAt = freedAt;
  }
  segments_.merge(other.segments_);
  chunks_.merge(other.chunks_);
  free_.merge(other.free_);
  freeBytes_ += other.freeBytes_;
  other.freeBytes_ = 0;
}

}  // namespace secateur
