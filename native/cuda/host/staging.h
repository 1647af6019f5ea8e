// Page-locked host memory that copies to the device pass through: the caller fills a piece, the copy is queued on the
// stream, and the piece is used again once the copy has passed.
#pragma once
#include <cstddef>
#include <mutex>
#include <vector>

#include "api/driver.h"

namespace secateur::cuda {

class Staging {
 public:
  static Staging& get();
  ~Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Any thread. The piece belongs to the caller until `send` or `giveBack`.
  void* take(std::size_t bytes);
  // Queues the copy of a piece to the device.
  void send(void* piece, void* to, std::size_t bytes);
  void giveBack(void* piece);

 private:
  Staging() = default;
  struct Piece {
    void* data = nullptr;
    std::size_t bytes = 0;
    CUevent passed = nullptr;
    bool taken = false;
    bool sent = false;
  };
  Piece& pieceOf(void* data);

  std::mutex mutex_;
  std::vector<Piece> pieces_;
};

}  // namespace secateur::cuda
