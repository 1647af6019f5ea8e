// Numbers and tables that change from step to step, and where they live: outside a captured step in the launch itself;
// in a captured step in one block of device memory that is written anew before every replay.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/driver.h"

namespace secateur::cuda {

// The block of one captured step: device memory, and page-locked host memory that is copied over it.
class LiveBlock {
 public:
  LiveBlock();
  ~LiveBlock();
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  // The next piece, aligned to 16 bytes: gives its place on the device and writes `host` to its host copy.
  void* write(const void* host, std::size_t bytes);
  std::size_t offset() const { return offset_; }
  void seek(std::size_t offset) { offset_ = offset; }
  // Waits until the copy before has passed, so that the host side may be written.
  void beginWrite();
  // Queues the copy to the device.
  void send();

 private:
  static constexpr std::size_t capacity = std::size_t{1} << 20;
  CUdeviceptr device_ = 0;
  char* host_ = nullptr;
  std::size_t offset_ = 0;
  std::size_t used_ = 0;
  CUevent passed_ = nullptr;
};

enum class LiveMode {
  eager,    // values travel with the launch
  capture,  // values go to the block, launches are recorded
  refresh,  // values go to the block, nothing is launched
};
LiveMode liveMode();
void setLiveMode(LiveMode mode, LiveBlock* block);
// Where the next number goes in the block in use.
std::size_t liveOffset();
void seekLive(std::size_t offset);

}  // namespace secateur::cuda
