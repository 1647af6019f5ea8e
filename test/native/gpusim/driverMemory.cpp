// Chapter 14: the driver's memory: allocations, page-locked host memory, copies.
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "driver.h"

using namespace gpusim;

namespace {
std::map<void*, std::size_t> pinned;  // and their sizes
}

CUresult gpusim::unsafe() {
  if (state().capturing == nullptr || state().capturer != std::this_thread::get_id()) return success;
  state().capturing->capturing->invalid = true;
  return captureUnsupported;
}

CALL cuMemAlloc_v2(std::uint64_t* data, std::size_t bytes) {
  return guarded([&] {
    if (unsafe() != success) return static_cast<CUresult>(captureUnsupported);
    if (bytes == 0) return static_cast<CUresult>(invalidValue);
    if (memory().live() + bytes > deviceBytes()) return static_cast<CUresult>(outOfMemory);
    *data = memory().allocate(bytes);
    return static_cast<CUresult>(*data == 0 ? outOfMemory : success);
  });
}
CALL cuMemFree_v2(std::uint64_t data) {
  return guarded([&] {
    // It waits for whoever may still use the memory.
    const CUresult status = finishAll();
    if (status != success) return status;
    return static_cast<CUresult>(data == 0 || memory().release(data) ? success : invalidValue);
  });
}
CALL cuMemGetAddressRange_v2(std::uint64_t* base, std::size_t* bytes, std::uint64_t at) {
  return guarded([&] {
    const Allocation* a = memory().find(at, 1);
    if (a == nullptr) return static_cast<CUresult>(notFound);
    if (base != nullptr) *base = a->at;
    if (bytes != nullptr) *bytes = a->bytes;
    return static_cast<CUresult>(success);
  });
}
CALL cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return guarded([&] {
    *total = deviceBytes();
    *free = *total - memory().live();
    return static_cast<CUresult>(success);
  });
}
CALL cuMemHostAlloc(void** data, std::size_t bytes, unsigned) {
  return guarded([&] {
    if (unsafe() != success) return static_cast<CUresult>(captureUnsupported);
    *data = std::malloc(bytes);
    if (*data == nullptr) return static_cast<CUresult>(outOfMemory);
    pinned[*data] = bytes;
    // Kernels may read and write it.
    memory().addStatic(reinterpret_cast<std::uint64_t>(*data), bytes);
    return static_cast<CUresult>(success);
  });
}
CALL cuMemFreeHost(void* data) {
  return guarded([&] {
    const CUresult status = finishAll();
    if (status != success) return status;
    if (pinned.erase(data) == 0) return static_cast<CUresult>(invalidValue);
    memory().forgetStatic(reinterpret_cast<std::uint64_t>(data));
    std::free(data);
    return static_cast<CUresult>(success);
  });
}

namespace {

bool isPinned(const void* at, std::size_t bytes) {
  const auto* from = static_cast<const char*>(at);
  auto found = pinned.upper_bound(const_cast<void*>(at));
  if (found == pinned.begin()) return false;
  const auto* start = static_cast<const char*>((--found)->first);
  return from + bytes <= start + found->second;
}

bool onDevice(std::uint64_t at, std::size_t bytes) { return memory().find(at, bytes) != nullptr; }

CUresult copyBytes(void* stream, std::uint64_t to, std::uint64_t from, std::size_t bytes, bool toDevice,
                   bool fromDevice) {
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      if ((toDevice && !onDevice(to, bytes)) || (fromDevice && !onDevice(from, bytes)))
        return static_cast<CUresult>(invalidValue);
      std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
      return static_cast<CUresult>(success);
    });
  });
}

}  // namespace

CALL cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, void* stream) {
  const auto* s = static_cast<Stream*>(stream);
  if (isPinned(from, bytes) || (s != nullptr && s->capturing != nullptr))
    return copyBytes(stream, to, reinterpret_cast<std::uint64_t>(from), bytes, true, false);
  // Of other host memory the driver has a copy when it returns.
  const auto* data = static_cast<const std::uint8_t*>(from);
  const auto kept = std::make_shared<std::vector<std::uint8_t>>(data, data + bytes);
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      if (!onDevice(to, bytes)) return static_cast<CUresult>(invalidValue);
      std::memcpy(reinterpret_cast<void*>(to), kept->data(), bytes);
      return static_cast<CUresult>(success);
    });
  });
}
CALL cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
  const CUresult status = copyBytes(stream, reinterpret_cast<std::uint64_t>(to), from, bytes, false, true);
  // Only to page-locked memory does the device write while the program goes on.
  const auto* s = static_cast<Stream*>(stream);
  if (status != success || s == nullptr || s->capturing != nullptr || isPinned(to, bytes)) return status;
  return guarded([&] { return finish(s); });
}
CALL cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  return copyBytes(stream, to, from, bytes, true, true);
}
CALL cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, void* stream) {
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      if (!onDevice(to, bytes)) return static_cast<CUresult>(invalidValue);
      std::memset(reinterpret_cast<void*>(to), value, bytes);
      return static_cast<CUresult>(success);
    });
  });
}
