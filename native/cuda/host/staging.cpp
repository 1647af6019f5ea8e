#include "host/staging.h"

#include "core/error.h"
#include "host/device.h"

namespace secateur::cuda {

Staging& Staging::get() {
  static Staging& instance = *new Staging();  // as the device: lives as long as the process
  return instance;
}

void* Staging::take(std::size_t bytes) {
  Gpu::get().makeCurrent();
  const Driver& d = driver();
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Piece& p : pieces_) {
    // A piece of up to four times the size will do; larger ones stay for whoever needs them.
    if (p.taken || p.bytes < bytes || p.bytes > 4 * bytes + 65536) continue;
    if (p.sent && d.eventQuery(p.passed) != cudaSuccess) continue;
    p.taken = true;
    p.sent = false;
    return p.data;
  }
  Piece p;
  p.bytes = bytes < 4096 ? 4096 : bytes;
  check(d.memoryHostAllocate(&p.data, p.bytes, 0), "page-locked host memory");
  check(d.eventCreate(&p.passed, eventDisableTiming), "cuEventCreate");
  p.taken = true;
  pieces_.push_back(p);
  return p.data;
}

Staging::Piece& Staging::pieceOf(void* data) {
  for (Piece& p : pieces_) {
    if (p.data == data) return p;
  }
  throw Error("ERR_CUDA", "this host memory does not belong to the staging pool.");
}

void Staging::send(void* piece, void* to, std::size_t bytes) {
  const Driver& d = driver();
  const CUstream stream = Gpu::get().stream();
  const std::lock_guard<std::mutex> lock(mutex_);
  Piece& p = pieceOf(piece);
  if (bytes > 0) check(d.copyToDevice(reinterpret_cast<CUdeviceptr>(to), piece, bytes, stream), "copy to the device");
  check(d.eventRecord(p.passed, stream), "cuEventRecord");
  p.sent = true;
  p.taken = false;
}

void Staging::giveBack(void* piece) {
  const std::lock_guard<std::mutex> lock(mutex_);
  pieceOf(piece).taken = false;
}

}  // namespace secateur::cuda
