// Scratch memory of the ops, on the device: pieces handed out one after the other and all taken back when the op has
// been queued. Blocks are kept, because a captured step holds their addresses.
#include "host/scratch.h"

#include <string>
#include <vector>

#include "host/device.h"
#include "host/launch.h"

namespace secateur {

namespace {

struct ScratchBlock {
  cuda::CUdeviceptr data = 0;
  std::size_t bytes = 0;
};

std::vector<ScratchBlock> blocks;
std::size_t current = 0;
std::size_t used = 0;

}  // namespace

void* scratchBytes(std::size_t bytes) {
  bytes = (bytes + 255) & ~std::size_t{255};
  if (bytes == 0) bytes = 256;
  for (; current < blocks.size(); current++, used = 0) {
    if (used + bytes > blocks[current].bytes) continue;
    void* piece = reinterpret_cast<void*>(blocks[current].data + used);
    used += bytes;
    return piece;
  }
  // Each new block is at least as large as all before it, so that there are few.
  std::size_t size = std::size_t{4} << 20;
  for (const ScratchBlock& b : blocks) size += b.bytes;
  ScratchBlock block;
  block.bytes = bytes > size ? bytes : size;
  cuda::CUresult result = cuda::driver().memoryAllocate(&block.data, block.bytes);
  if (result == cuda::cudaOutOfMemory) {  // no room for what comes later
    block.bytes = bytes;
    result = cuda::driver().memoryAllocate(&block.data, block.bytes);
  }
  cuda::check(result, (std::to_string(bytes) + " bytes of scratch memory").c_str());
  blocks.push_back(block);
  used = bytes;
  return reinterpret_cast<void*>(block.data);
}

namespace cuda {

void scratchReset() {
  current = 0;
  used = 0;
}

}  // namespace cuda

}  // namespace secateur
