#include "core/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "core/kernel.h"

namespace secateur {

namespace {

struct Free {
  void operator()(void* p) const { std::free(p); }
};

class Scratch {
 public:
  void* take(std::size_t bytes) {
    bytes = (bytes + 63) & ~std::size_t{63};
    if (bytes == 0) bytes = 64;
    if (used_ + bytes <= size_) {
      void* p = static_cast<char*>(main_.get()) + used_;
      used_ += bytes;
      return p;
    }
    // What does not fit gets its own piece now; the next reset grows the main one to hold all.
    overflow_.emplace_back(allocate(bytes));
    overflowBytes_ += bytes;
    return overflow_.back().get();
  }

  void reset() {
    if (overflowBytes_ > 0) {
      const std::size_t size = used_ + overflowBytes_;
      overflow_.clear();
      main_.reset();
      size_ = 0;
      main_.reset(allocate(size));
      size_ = size;
      overflowBytes_ = 0;
    }
    used_ = 0;
  }

  std::size_t reserved() const { return size_; }

 private:
  static void* allocate(std::size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, 64, bytes) != 0) throw std::bad_alloc();
    return p;
  }

  std::unique_ptr<void, Free> main_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
  std::vector<std::unique_ptr<void, Free>> overflow_;
  std::size_t overflowBytes_ = 0;
};

// One executor runs at a time, so one scratch serves all.
Scratch& instance() {
  static Scratch scratch;
  return scratch;
}

}  // namespace

void* scratchBytes(std::size_t bytes) { return instance().take(bytes); }
void scratchReset() { instance().reset(); }
std::size_t scratchReserved() { return instance().reserved(); }

}  // namespace secateur
