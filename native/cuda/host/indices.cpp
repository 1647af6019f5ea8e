#include "host/indices.h"

#include <string>

#include "api/driver.h"
#include "core/error.h"
#include "host/device.h"
#include "host/live.h"

namespace secateur::cuda {

namespace {

// As many checks as may be under way between two waits; an older report of the same place is then lost, not its effect:
// the kernel skipped the bad index.
constexpr int places = 256;

struct Reports {
  unsigned long long* words = nullptr;  // page-locked, and visible to the device
  const char* ops[places] = {};
  std::int64_t extents[places] = {};
  int next = 0;
};

Reports& reports() {
  static Reports instance;
  return instance;
}

}  // namespace

IndexCheck checkIndices(const char* op, std::int64_t extent) {
  Reports& r = reports();
  if (r.words == nullptr) {
    void* words = nullptr;
    check(driver().memoryHostAllocate(&words, places * sizeof(*r.words), 0), "page-locked host memory");
    r.words = static_cast<unsigned long long*>(words);
    for (int i = 0; i < places; i++) r.words[i] = 0;
  }
  const int at = r.next;
  if (liveMode() != LiveMode::refresh) r.next = (at + 1) % places;
  r.ops[at] = op;
  r.extents[at] = extent;
  return {r.words + at, extent};
}

void raiseIndexReports() {
  Reports& r = reports();
  if (r.words == nullptr) return;
  std::string message;
  for (int i = 0; i < places; i++) {
    const unsigned long long packed = r.words[i];
    if (packed == 0) continue;
    r.words[i] = 0;
    if (!message.empty()) continue;
    message = std::string(r.ops[i]) + ": index " + std::to_string(static_cast<std::int32_t>(packed)) + " at position " +
              std::to_string((packed >> 32) - 1) + " is outside the extent " + std::to_string(r.extents[i]) +
              "; needs 0 to " + std::to_string(r.extents[i] - 1) + ".";
  }
  if (!message.empty()) throw Error("ERR_KERNEL", message);
}

}  // namespace secateur::cuda
