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
// So many stay with ordinary launches, however much is captured.
constexpr int ordinary = places / 2;

// What a place checks.
struct Place {
  const char* op = nullptr;
  std::int64_t extent = 0;
  bool target = false;
  std::int64_t ignored = 0;

  bool operator==(const Place& p) const {
    return op == p.op && extent == p.extent && target == p.target && ignored == p.ignored;
  }
};

struct Reports {
  unsigned long long* words = nullptr;  // page-locked, and visible to the device
  Place checks[places];
  int next = 0;
  // The last places are for captured launches, which report to the same one in every replay: all that check alike.
  int captured = places;
};

Reports& reports() {
  static Reports instance;
  return instance;
}

int capturedPlace(Reports& r, const Place& what) {
  for (int at = r.captured; at < places; at++) {
    if (r.checks[at] == what) return at;
  }
  return r.captured > ordinary ? --r.captured : -1;
}

// Where the next check reports to.
unsigned long long* placeFor(const Place& what) {
  Reports& r = reports();
  if (r.words == nullptr) {
    void* words = nullptr;
    check(driver().memoryHostAllocate(&words, places * sizeof(*r.words), 0), "page-locked host memory");
    r.words = static_cast<unsigned long long*>(words);
    for (int i = 0; i < places; i++) r.words[i] = 0;
  }
  if (liveMode() == LiveMode::refresh) return r.words;  // nothing is launched
  int at = liveMode() == LiveMode::capture ? capturedPlace(r, what) : -1;
  if (at < 0) {
    at = r.next < r.captured ? r.next : 0;
    r.next = at + 1;
  }
  r.checks[at] = what;
  return r.words + at;
}

std::string describe(const Reports& r, int at, std::int32_t index, std::uint64_t position) {
  const Place& what = r.checks[at];
  const std::string where = std::string(what.op) + ": ";
  const std::string last = std::to_string(what.extent - 1);
  if (what.target)
    return where + "the target of row " + std::to_string(position) + " is " + std::to_string(index) +
           "; needs a class from 0 to " + last + ", or ignoreIndex (" + std::to_string(what.ignored) + ").";
  return where + "index " + std::to_string(index) + " at position " + std::to_string(position) +
         " is outside the extent " + std::to_string(what.extent) + "; needs 0 to " + last + ".";
}

}  // namespace

IndexCheck checkIndices(const char* op, std::int64_t extent) { return {placeFor({op, extent, false, 0}), extent}; }

IndexCheck checkTargets(const char* op, std::int64_t classes, std::int64_t ignore) {
  return {placeFor({op, classes, true, ignore}), classes};
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
