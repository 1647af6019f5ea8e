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
  const auto me = static_cast<std::uint32_t>(w.thread(lane));
  for (std::uint64_t word = at / 4; word <= (at + bytes - 1) / 4; word++) {
    Shadow& s = b.shadow[word];
    const auto conflicts = [&](std::uint32_t other, std::uint32_t epoch, std::uint32_t warpEpoch) {
      if (other == me || epoch != b.epoch) return false;
      return other / lanes != me / lanes || warpEpoch == w.epoch;
    };
    if (s.pending)
      fault(w, i, lane, launchFailed, "touches shared memory that an asynchronous copy has not reached yet");
    const bool withWriter = s.written && conflicts(s.writer, s.writeEpoch, s.writeWarpEpoch);
    if (withWriter && !(s.atomic && access == Access::atomic))
      fault(w, i, lane, launchFailed,
            "race on shared memory (offset " + std::to_string(word * 4) + "): thread " + std::to_string(s.writer) +
                " wrote it and no barrier lies between");
    if (access == Access::read) {
      const bool same = s.readEpoch == b.epoch;
      s.readByMany = same && (s.readByMany || (s.reader != me && s.reader / lanes != me / lanes));
      s.reader = me;
      s.readEpoch = b.epoch;
      s.readWarpEpoch = w.epoch;
    } else {
      const bool byMany = s.readEpoch == b.epoch && s.readByMany;
      // Bytes of one word may belong to several threads; words of readers are not told apart.
      if (bytes >= 4 && access == Access::write &&
          (byMany || (s.readEpoch != 0 && conflicts(s.reader, s.readEpoch, s.readWarpEpoch))))
        fault(w, i, lane, launchFailed,
              "race on shared memory (offset " + std::to_string(word * 4) + "): thread " + std::to_string(s.reader) +
                  " read it and no barrier lies between");
      if (bytes < 4 && access == Access::write) continue;
      s.written = true;
      s.atomic = access == Access::atomic;
      s.writer = me;
      s.writeEpoch = b.epoch;
      s.writeWarpEpoch = w.epoch;
    }
  }
}

void checkGlobal(Warp& w, const Instruction& i, int lane, Allocation& a, std::uint64_t address, std::uint32_t bytes,
                 Access access) {
  Block& b = *w.block;
  Launch& launch = *b.launch;
  if (access == Access::atomic) b.lastAcquire = ++launch.time;
  if (!launch.checkRaces || bytes < 4) return;
  if (a.shadow == nullptr) a.shadow = std::make_unique<GlobalShadow[]>(a.bytes / 4 + 1);
  const auto me = static_cast<std::uint32_t>(w.thread(lane));
  for (std::uint64_t word = (address - a.at) / 4; word <= (address - a.at + bytes - 1) / 4; word++) {
    GlobalShadow& s = a.shadow[word];
    if (s.launch != launch.number) {
      s = {};
      s.launch = launch.number;
    }
    // Another thread's access came before this one if a barrier lies between (same block), or if its block published
    // its writes (a fence) and this block looked (an atomic) afterwards.
    const auto unordered = [&](std::uint32_t thread, std::uint32_t block, std::uint32_t epoch, std::uint64_t time) {
      if (block == b.number) return thread != me && epoch == b.epoch && thread / lanes != me / lanes;
      return b.lastAcquire <= time;
    };
    // Writes become visible to other blocks with the fence after them; `writeTime` grows only with fences.
    if (s.written && !(s.atomic && access == Access::atomic) &&
        unordered(s.writer, s.writerBlock, s.writeEpoch, s.writeTime)) {
      fault(w, i, lane, launchFailed,
            "race on global memory at " + hex(address) + ": thread " + std::to_string(s.writer) + " of block " +
                std::to_string(s.writerBlock) + " wrote it" +
                (s.writerBlock == b.number ? " and no barrier lies between"
                                           : " and no fence with an atomic orders the two"));
    }
    if (access == Access::read) {
      s.manyReaders = s.read && (s.manyReaders || s.readerBlock != b.number);
      s.read = true;
      s.reader = me;
      s.readerBlock = b.number;
      s.readEpoch = b.epoch;
    } else {
      if (access == Access::write && s.read && (s.readerBlock != b.number || s.reader != me)) {
        const bool race =
            s.readerBlock == b.number ? s.readEpoch == b.epoch && s.reader / lanes != me / lanes : b.lastAcquire == 0;
        if (race)
          fault(w, i, lane, launchFailed,
                "race on global memory at " + hex(address) + ": thread " + std::to_string(s.reader) + " of block " +
                    std::to_string(s.readerBlock) + " reads it");
      }
      s.written = true;
      s.atomic = access == Access::atomic;
      s.writer = me;
      s.writerBlock = b.number;
      s.writeEpoch = b.epoch;
      s.writeTime = launch.time;
    }
  }
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

void countRequest(Warp& w, const std::uint64_t* addresses, std::uint32_t mask, std::uint32_t bytes, bool write) {
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
      a->touched.assign((a->bytes + 1) / 2 + 1, 0);
    }
    // Two bits for each two bytes: read, written.
    const std::uint8_t bit = write ? 2 : 1;
    for (std::uint64_t k = (at - a->at) / 2; k <= (at - a->at + bytes - 1) / 2; k++) {
      if ((a->touched[k] & bit) != 0) continue;
      a->touched[k] |= bit;
      (write ? c.uniqueWritten : c.uniqueRead) += std::min<std::uint64_t>(2, bytes);
    }
  }
  std::sort(sectors, sectors + n);
  const auto distinct = static_cast<std::uint64_t>(std::unique(sectors, sectors + n) - sectors);
  (write ? c.bytesWritten : c.bytesRead) += requested;
  (write ? c.sectorsWritten : c.sectorsRead) += distinct;
}

}  // namespace gpusim
