#include "simulatedGpu.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <utility>

namespace fakes {

namespace {

template <class Function>
Function entry(const char* name) {
  const char* path = std::getenv("SECATEUR_LIBCUDA");
  void* driver = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  void* found = driver == nullptr ? nullptr : dlsym(driver, name);
  if (found == nullptr) {
    std::fprintf(stderr, "fakes: the driver in SECATEUR_LIBCUDA is not the simulated GPU: no %s\n", name);
    std::abort();
  }
  return reinterpret_cast<Function>(found);
}

// How often work was queued by this library: SECATEUR_FAKES_CALLS names a file that gets it at the end.
class Count {
 public:
  int calls = 0;
  ~Count() {
    const char* path = std::getenv("SECATEUR_FAKES_CALLS");
    std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "a");
    if (file == nullptr) return;
    std::fprintf(file, "%s %d\n", FAKE_NAME, calls);
    std::fclose(file);
  }
};
Count count;

void runWork(void* work) { (*static_cast<std::function<void()>*>(work))(); }

}  // namespace

bool onDevice(const void* data, std::size_t bytes) {
  static const auto range = entry<int (*)(std::uint64_t*, std::size_t*, std::uint64_t)>("cuMemGetAddressRange_v2");
  std::uint64_t base = 0;
  std::size_t size = 0;
  const auto at = reinterpret_cast<std::uint64_t>(data);
  return data != nullptr && range(&base, &size, at) == 0 && at + bytes <= base + size;
}

bool queue(void* stream, std::function<void()> work) {
  static const auto launch = entry<int (*)(void*, void (*)(void*), void*)>("cuLaunchHostFunc");
  // A captured stream runs it again and again: kept to the end of the process.
  static auto& kept = *new std::list<std::function<void()>>();
  kept.push_back(std::move(work));
  count.calls++;
  return launch(stream, runWork, &kept.back()) == 0;
}

float load(const void* data, bool bf16, std::int64_t at) {
  if (!bf16) return static_cast<const float*>(data)[at];
  const std::uint32_t bits = std::uint32_t{static_cast<const std::uint16_t*>(data)[at]} << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

void store(void* data, bool bf16, std::int64_t at, float value) {
  if (!bf16) {
    static_cast<float*>(data)[at] = value;
    return;
  }
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  // Nearest, ties to even; NaN stays NaN.
  static_cast<std::uint16_t*>(data)[at] =
      value != value ? 0x7fc0 : static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace fakes
