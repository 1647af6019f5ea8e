// Large blocks of memory: cut from segments to the size asked for, and merged again with their free neighbours. Of the
// free ones that are large enough the smallest serves a request.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace secateur {

// Where memory comes from.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Null when there is none.
  virtual void* fromSystem(std::size_t bytes) = 0;
  virtual void toSystem(void* data) = 0;
  virtual std::size_t capacity() = 0;
  // How much to take at once when this much is wanted: more where memory costs nothing before it is touched.
  virtual std::size_t segment(std::size_t bytes) { return bytes; }
};

class Heap {
 public:
  explicit Heap(MemorySource& source) : source_(source) {}
  ~Heap() = default;
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;
  Heap(Heap&&) = default;
  Heap& operator=(Heap&&) = delete;

  // A block of free memory whose last use was queued as number `before` at most; null when none fits.
  void* take(std::size_t bytes, std::uint64_t before);
  // A block of memory that was never used, or of free memory at its border; null when the system has none.
  void* grow(std::size_t bytes, std::uint64_t before);
  // Gives a block back, whose last use has the number `freedAt` in the queue.
  void give(void* data, std::uint64_t freedAt);
  // Gives the segments without a block to the system.
  void trim();
  // Takes over all that the other has; what is free there may be in use until `freedAt`.
  void absorb(Heap& other, std::uint64_t freedAt);

  std::size_t freeBytes() const { return freeBytes_; }

 private:
  struct Chunk {
    std::size_t bytes;
    std::uint64_t freedAt;
    bool free;
  };
  // The bytes from `used` on were never given to anybody.
  struct Segment {
    std::size_t bytes;
    std::size_t used;
  };
  using Chunks = std::map<char*, Chunk>;

  void markFree(Chunks::iterator chunk);
  void markUsed(Chunks::iterator chunk);
  void* extend(std::map<char*, Segment>::iterator segment, std::size_t bytes, std::uint64_t before);

  MemorySource& source_;
  std::map<char*, Segment> segments_;
  Chunks chunks_;
  std::set<std::pair<std::size_t, char*>> free_;
  std::size_t freeBytes_ = 0;
};

}  // namespace secateur
