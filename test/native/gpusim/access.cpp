// Chapter 5: memory and its checks.
#include "access.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace gpusim {

Memory& memory() {
  static Memory instance;
  return instance;
}

std::uint64_t Memory::allocate(std::uint64_t bytes) {
  // A margin on both sides keeps neighbours apart; fresh memory is full of NaN.
  constexpr std::uint64_t margin = 256;
  const std::uint64_t all = (bytes + 2 * margin + 255) / 256 * 256;
  auto* data = static_cast<std::uint8_t*>(std::aligned_alloc(256, all));
  if (data == nullptr) return 0;
  std::memset(data, 0xff, all);
  Allocation a;
  a.at = reinterpret_cast<std::uint64_t>(data) + margin;
  a.bytes = bytes;
  live_ += bytes;
  const std::uint64_t at = a.at;
  all_.emplace(at, std::move(a));
  return at;
}

bool Memory::release(std::uint64_t at) {
  const auto found = all_.find(at);
  if (found == all_.end()) return false;
  if (last_ == &found->second) last_ = nullptr;
  live_ -= found->second.bytes;
  all_.erase(found);
  std::free(reinterpret_cast<void*>(at - 256));
  return true;
}

void Memory::addStatic(std::uint64_t at, std::uint64_t bytes) {
  Allocation a;
  a.at = at;
  a.bytes = bytes;
  all_.emplace(at, std::move(a));
}

void Memory::forgetStatic(std::uint64_t at) {
  last_ = nullptr;
  all_.erase(at);
}

Allocation* Memory::find(std::uint64_t at, std::uint64_t bytes) {
  if (last_ != nullptr && at >= last_->at && at + bytes <= last_->at + last_->bytes) return last_;
  auto found = all_.upper_bound(at);
  if (found == all_.begin()) return nullptr;
  Allocation& a = (--found)->second;
  if (at + bytes > a.at + a.bytes) return nullptr;
  last_ = &a;
  return &a;
}

std::string Memory::describe(std::uint64_t at) const {
  std::ostringstream out;
  auto found = all_.upper_bound(at);
  if (found == all_.begin()) return "no allocation lies below it";
  const Allocation& a = (--found)->second;
  out << "the nearest allocation below has " << a.bytes << " bytes and the address is " << at - a.at
      << " bytes into it";
  return out.str();
}

namespace {

std::string hex(std::uint64_t x) {
  std::ostringstream out;
  out << "0x" << std::hex << x;
  return out.str();
}

bool sameStep(const Moment& a, const Moment& b) {
  return a.block == b.block && a.thread / lanes == b.thread / lanes && a.barriers == b.barriers &&
         a.warpSyncs == b.warpSyncs;
}

// Whether the earlier access of these bytes and this one, not both reads, are a race.
bool conflicts(const Touch& earlier, const Touch& now, const Warp& w, int lane) {
  const int both = earlier.bytes & now.bytes;
  if (both == 0 || (earlier.strong && now.strong)) return false;
  if (!sameStep(earlier.at, now.at)) return !comesBefore(earlier.at, w, lane);
  for (int k = 0; k < 4; k++) {
    if ((both >> k & 1) != 0 && earlier.lane[k] != now.lane[k]) return true;
  }
  return false;
}

bool joinLanes(Touch& earlier, const Touch& now) {
  if (earlier.bytes == 0 || !sameStep(earlier.at, now.at)) return false;
  for (int k = 0; k < 4; k++) {
    if ((now.bytes >> k & 1) == 0) continue;
    const bool other = (earlier.bytes >> k & 1) != 0 && earlier.lane[k] != now.lane[k];
    earlier.lane[k] = other ? manyLanes : now.lane[k];
  }
  earlier.at = now.at;
  earlier.bytes |= now.bytes;
  earlier.strong = earlier.strong && now.strong;
  return true;
}

void noteRead(WordShadow& s, const Touch& now, const Warp& w, int lane) {
  for (Touch& earlier : s.read) {
    if (joinLanes(earlier, now)) return;
    if (earlier.bytes != 0 && !comesBefore(earlier.at, w, lane)) continue;
    earlier = now;
    return;
  }
  s.read[1] = now;
}

void noteWrite(WordShadow& s, const Touch& now) {
  // Of a word written in parts only those of one warp are remembered.
  if (!joinLanes(s.written, now)) s.written = now;
  if (!now.strong && now.bytes == 15) s.read[0] = s.read[1] = {};
}

// Calls race(earlier, what it did) if something that is not ordered has touched the word, and notes this access.
template <class Race>
void checkWord(WordShadow& s, const Touch& now, const Warp& w, int lane, bool reads, Race race) {
  if (conflicts(s.written, now, w, lane)) race(s.written, " wrote it");
  if (reads) return noteRead(s, now, w, lane);
  for (const Touch& earlier : s.read) {
    if (conflicts(earlier, now, w, lane)) race(earlier, " read it");
  }
  noteWrite(s, now);
}

Touch touch(const Warp& w, const Instruction& i, int lane, std::uint64_t at, std::uint32_t bytes) {
  Touch now;
  now.at = momentOf(w, lane);
  std::memset(now.lane, lane, sizeof(now.lane));
  now.strong = (i.order & strong) != 0;
  now.bytes = bytes >= 4 ? 15 : static_cast<std::uint8_t>(((1u << bytes) - 1) << at % 4);
  return now;
}

void checkShared(Warp& w, const Instruction& i, int lane, std::uint64_t at, std::uint32_t bytes, Access access) {
  Block& b = *w.block;
  if (access != Access::write) {
    for (std::uint32_t k = 0; k < bytes; k++) {
      if (b.initialised[at + k] == 0)
        fault(w, i, lane, launchFailed,
              "reads shared memory that nobody has written (offset " + std::to_string(at + k) + ")");
    }
  }
  if (access != Access::read) std::memset(b.initialised.data() + at, 1, bytes);
  if (!b.launch->checkRaces) return;
  const Touch now = touch(w, i, lane, at, bytes);
  for (std::uint64_t word = at / 4; word <= (at + bytes - 1) / 4; word++) {
    SharedShadow& s = b.shadow[word];
    if (s.pending)
      fault(w, i, lane, launchFailed, "touches shared memory that an asynchronous copy has not reached yet");
    checkWord(s, now, w, lane, access == Access::read, [&](const Touch& earlier, const char* did) {
      fault(w, i, lane, launchFailed,
            "race on shared memory (offset " + std::to_string(word * 4) + "): thread " +
                std::to_string(earlier.at.thread) + did + " and no barrier lies between");
    });
  }
}

void checkGlobal(Warp& w, const Instruction& i, int lane, Allocation& a, std::uint64_t address, std::uint32_t bytes,
                 Access access) {
  Launch& launch = *w.block->launch;
  if (!launch.checkRaces) return;
  if (a.shadow == nullptr) a.shadow = std::make_unique<GlobalShadow[]>(a.bytes / 4 + 1);
  const Touch now = touch(w, i, lane, address, bytes);
  for (std::uint64_t word = (address - a.at) / 4; word <= (address - a.at + bytes - 1) / 4; word++) {
    GlobalShadow& s = a.shadow[word];
    if (s.launch != launch.number) {
      s = {};
      s.launch = launch.number;
    }
    checkWord(s, now, w, lane, access == Access::read, [&](const Touch& earlier, const char* did) {
      const bool here = earlier.at.block == now.at.block;
      fault(w, i, lane, launchFailed,
            "race on global memory at " + hex(a.at + word * 4) + ": thread " + std::to_string(earlier.at.thread) +
                " of block " + std::to_string(earlier.at.block) + did +
                (here ? " and no barrier lies between"
                      : " and nothing orders the two: no fence with a strong write behind it there, or no strong read "
                        "with a fence behind it here"));
    });
    if (access == Access::read) continue;
    if (s.published && !now.strong) launch.published.erase(a.at + word * 4);
    s.published = now.strong;
  }
  if (!now.strong) return;
  if (access != Access::write) notice(w, lane, address, (i.order & acquires) != 0);
  if (access != Access::read) publish(w, lane, address, access == Access::atomic, (i.order & releases) != 0);
}

}  // namespace

Space spaceOf(std::uint64_t& address) {
  const std::uint64_t window = address & windowMask;
  if (window == 0) return Space::global;
  address &= ~windowMask;
  return window == sharedWindow ? Space::shared : window == localWindow ? Space::local : Space::param;
}

std::uint8_t* reach(Warp& w, const Instruction& i, int lane, Space space, std::uint64_t address, std::uint32_t bytes,
                    Access access) {
  Block& b = *w.block;
  Launch& launch = *b.launch;
  if (space == Space::generic) space = spaceOf(address);
  if (address % bytes != 0)
    fault(w, i, lane, misaligned,
          "an access of " + std::to_string(bytes) + " bytes at " + hex(address) + " is not aligned");
  switch (space) {
    case Space::shared:
      address &= ~windowMask;
      if (address + bytes > b.shared.size())
        fault(w, i, lane, illegalAddress,
              "shared offset " + std::to_string(address) + " is outside the block's " +
                  std::to_string(b.shared.size()) + " bytes");
      checkShared(w, i, lane, address, bytes, access);
      return b.shared.data() + address;
    case Space::param:
      address &= ~windowMask;
      if (access != Access::read || address + bytes > launch.params.size())
        fault(w, i, lane, illegalAddress, "parameter offset " + std::to_string(address) + " is outside or written");
      return launch.params.data() + address;
    case Space::local:
      fault(w, i, lane, illegalInstruction, "local memory is not simulated: kernels must not use it");
    default:
      break;
  }
  Allocation* a = memory().find(address, bytes);
  if (a == nullptr) {
    fault(w, i, lane, illegalAddress,
          (access == Access::read ? "reads " : "writes ") + std::to_string(bytes) + " bytes at " + hex(address) +
              ", outside every allocation: " + memory().describe(address));
  }
  checkGlobal(w, i, lane, *a, address, bytes, access);
  return reinterpret_cast<std::uint8_t*>(address);
}

namespace {

constexpr std::uint32_t sectorBytes = 32;

// A cache that holds what was used last: a sector read again is found there unless more than the cache's size of others
// has come in since. `fresh`: this launch counts the bytes as read for the first time.
void countCached(Launch& launch, Allocation& a, std::uint64_t at, bool fresh, bool write, bool streamed) {
  std::uint64_t& used = a.used[(at - a.at) / sectorBytes];
  const bool known = used != 0;
  const bool lost = known && launch.cacheClock + 1 - used > launch.cacheBytes;
  if (lost && !fresh && !write) launch.counters.refetched += sectorBytes;
  if ((!known || lost) && !streamed) launch.cacheClock += sectorBytes;
  used = launch.cacheClock + 1;
}

}  // namespace

void countRequest(Warp& w, const std::uint64_t* addresses, std::uint32_t mask, std::uint32_t bytes, bool write,
                  bool streamed) {
  Counters& c = w.block->launch->counters;
  std::uint64_t sectors[lanes * 4];
  int n = 0;
  std::uint64_t requested = 0;
  Allocation* a = nullptr;
  for (int l = 0; l < lanes; l++) {
    if ((mask >> l & 1) == 0) continue;
    const std::uint64_t at = addresses[l];
    requested += bytes;
    const std::uint64_t sector = at / 32;
    if (n == 0 || sectors[n - 1] != sector) sectors[n++] = sector;
    if (a == nullptr || at < a->at || at + bytes > a->at + a->bytes) a = memory().find(at, bytes);
    if (a == nullptr) continue;
    const std::uint64_t launch = w.block->launch->number;
    if (a->touchedLaunch != launch) {
      a->touchedLaunch = launch;
      a->touched.assign(a->bytes / 4 + 1, 0);
      if (w.block->launch->cacheBytes > 0) a->used.assign(a->bytes / sectorBytes + 1, 0);
    }
    // A byte for each word: a bit for each of its bytes that was read, and above them those that were written.
    const std::uint64_t from = at - a->at, to = from + bytes;
    if (w.block->launch->cacheBytes > 0)
      countCached(*w.block->launch, *a, at, (a->touched[from / 4] >> from % 4 & 1) == 0, write, streamed);
    for (std::uint64_t word = from / 4; word <= (to - 1) / 4; word++) {
      const std::uint64_t first = std::max(from, word * 4) - word * 4, end = std::min(to, word * 4 + 4) - word * 4;
      const unsigned these = ((1u << (end - first)) - 1) << (first + (write ? 4 : 0));
      (write ? c.uniqueWritten : c.uniqueRead) +=
          static_cast<std::uint64_t>(__builtin_popcount(these & ~static_cast<unsigned>(a->touched[word])));
      a->touched[word] |= static_cast<std::uint8_t>(these);
    }
  }
  std::sort(sectors, sectors + n);
  const auto distinct = static_cast<std::uint64_t>(std::unique(sectors, sectors + n) - sectors);
  (write ? c.bytesWritten : c.bytesRead) += requested;
  (write ? c.sectorsWritten : c.sectorsRead) += distinct;
}

}  // namespace gpusim
