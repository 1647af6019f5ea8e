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
  bool targets[places] = {};
  std::int64_t ignored[places] = {};
  int next = 0;
};

Reports& reports() {
  static Reports instance;
  return instance;
}

// The place of the next check.
int placeFor(Reports& r, const char* op, std::int64_t extent) {
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
  r.targets[at] = false;
  return at;
}

std::string describe(const Reports& r, int at, std::int32_t index, std::uint64_t position) {
  const std::string where = std::string(r.ops[at]) + ": ";
  const std::string last = std::to_string(r.extents[at] - 1);
  if (r.targets[at])
    return where + "the target of row " + std::to_string(position) + " is " + std::to_string(index) +
           "; needs a class from 0 to " + last + ", or ignoreIndex (" + std::to_string(r.ignored[at]) + ").";
  return where + "index " + std::to_string(index) + " at position " + std::to_string(position) +
         " is outside the extent " + std::to_string(r.extents[at]) + "; needs 0 to " + last + ".";
}

}  // namespace

IndexCheck checkIndices(const char* op, std::int64_t extent) {
  Reports& r = reports();
  const int at = placeFor(r, op, extent);
  return {r.words + at, extent};
}

IndexCheck checkTargets(const char* op, std::int64_t classes, std::int64_t ignore) {
  Reports& r = reports();
  const int at = placeFor(r, op, classes);
  r.targets[at] = true;
  r.ignored[at] = ignore;
  return {r.words + at, classes};
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
    message = describe(r, i, static_cast<std::int32_t>(packed), (packed >> 32) - 1);
  }
  if (!message.empty()) throw Error("ERR_KERNEL", message);
}

}  // namespace secateur::cuda
