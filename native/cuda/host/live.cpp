#include "host/live.h"

#include <cstring>

#include "core/error.h"
#include "host/device.h"
#include "host/launch.h"
#include "host/staging.h"

namespace secateur::cuda {

namespace {

// Both are touched by the executor thread only.
LiveMode mode = LiveMode::eager;
LiveBlock* block = nullptr;

}  // namespace

LiveBlock::LiveBlock() {
  const Driver& d = driver();
  check(d.memoryAllocate(&device_, capacity), "memory for the numbers of a captured step");
  void* host = nullptr;
  check(d.memoryHostAllocate(&host, capacity, 0), "page-locked host memory");
  host_ = static_cast<char*>(host);
  check(d.eventCreate(&passed_, eventDisableTiming), "cuEventCreate");
}

LiveBlock::~LiveBlock() {
  driver().eventDestroy(passed_);
  driver().memoryFreeHost(host_);
  driver().memoryFree(device_);
}

void* LiveBlock::write(const void* host, std::size_t bytes) {
  const std::size_t at = offset_;
  if (at + bytes > capacity) {
    throw Error("ERR_CUDA", "a captured step holds more than " + std::to_string(capacity >> 10) +
                                " KiB of numbers and tables that change: capture a smaller part of it.");
  }
  std::memcpy(host_ + at, host, bytes);
  offset_ = at + ((bytes + 15) & ~std::size_t{15});
  if (offset_ > used_) used_ = offset_;
  return reinterpret_cast<void*>(device_ + at);
}

void LiveBlock::beginWrite() { check(driver().eventSynchronize(passed_), "cuEventSynchronize"); }

void LiveBlock::send() {
  if (used_ > 0) check(driver().copyToDevice(device_, host_, used_, stream()), "copy to the device");
  check(driver().eventRecord(passed_, stream()), "cuEventRecord");
}

LiveMode liveMode() { return mode; }

void setLiveMode(LiveMode next, LiveBlock* of) {
  mode = next;
  block = of;
}

std::size_t liveOffset() { return block == nullptr ? 0 : block->offset(); }

void seekLive(std::size_t offset) { block->seek(offset); }

Number live(double value) {
  const auto number = static_cast<float>(value);
  if (mode == LiveMode::eager) return {nullptr, number};
  return {static_cast<const float*>(block->write(&number, sizeof(number))), number};
}

Whole liveWhole(std::int64_t value) {
  if (mode == LiveMode::eager) return {nullptr, value};
  return {static_cast<const std::int64_t*>(block->write(&value, sizeof(value))), value};
}

RandomRange liveRandom(const Random& range) {
  const Whole seed = liveWhole(static_cast<std::int64_t>(range.seed));
  return {seed, liveWhole(static_cast<std::int64_t>(range.position))};
}

const void* tableBytes(const void* host, std::size_t bytes) {
  if (mode != LiveMode::eager) return block->write(host, bytes);
  void* on = scratchBytes(bytes);
  void* piece = Staging::get().take(bytes);
  std::memcpy(piece, host, bytes);
  Staging::get().send(piece, on, bytes);
  return on;
}

}  // namespace secateur::cuda
