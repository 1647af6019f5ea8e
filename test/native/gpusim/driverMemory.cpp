// Chapter 14: the driver's memory: allocations, page-locked host memory, copies.
#include <cstdlib>
#include <cstring>
#include <set>

#include "driver.h"

using namespace gpusim;

namespace {
std::set<void*> pinned;
}

CALL cuMemAlloc_v2(std::uint64_t* data, std::size_t bytes) {
  return guarded([&] {
    if (bytes == 0) return static_cast<CUresult>(invalidValue);
    if (memory().live() + bytes > deviceBytes()) return static_cast<CUresult>(outOfMemory);
    *data = memory().allocate(bytes);
    return static_cast<CUresult>(*data == 0 ? outOfMemory : success);
  });
}
CALL cuMemFree_v2(std::uint64_t data) {
  return guarded([&] { return static_cast<CUresult>(data == 0 || memory().release(data) ? success : invalidValue); });
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
    *data = std::malloc(bytes);
    if (*data == nullptr) return static_cast<CUresult>(outOfMemory);
    pinned.insert(*data);
    // Kernels may read and write it.
    memory().addStatic(reinterpret_cast<std::uint64_t>(*data), bytes);
    return static_cast<CUresult>(success);
  });
}
CALL cuMemFreeHost(void* data) {
  return guarded([&] {
    if (pinned.erase(data) == 0) return static_cast<CUresult>(invalidValue);
    memory().forgetStatic(reinterpret_cast<std::uint64_t>(data));
    std::free(data);
    return static_cast<CUresult>(success);
  });
}

namespace {

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
  return copyBytes(stream, to, reinterpret_cast<std::uint64_t>(from), bytes, true, false);
}
CALL cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
  return copyBytes(stream, reinterpret_cast<std::uint64_t>(to), from, bytes, false, true);
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
