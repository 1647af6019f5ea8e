// Chapter 3: the machine. A launch has blocks, a block has warps and shared memory, a warp has 32 lanes with a program
// counter each. Blocks and warps take turns in an order drawn from a seed.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "counters.h"
#include "order.h"
#include "ptx.h"

namespace gpusim {

constexpr int lanes = 32;
constexpr std::uint32_t allLanes = 0xffffffffu;

// Windows of the generic address space; global memory has its host addresses.
constexpr std::uint64_t sharedWindow = 0x1000000000000000ull;
constexpr std::uint64_t localWindow = 0x2000000000000000ull;
constexpr std::uint64_t paramWindow = 0x3000000000000000ull;
constexpr std::uint64_t windowMask = 0xf000000000000000ull;

// A fault of the program under test, with the driver's number for it.
struct Fault : std::runtime_error {
  Fault(int number, const std::string& what) : std::runtime_error(what), code(number) {}
  int code;
};
enum FaultCode { illegalAddress = 700, misaligned = 716, illegalInstruction = 715, launchFailed = 719 };

struct Block;
struct Launch;

using Lanes = std::uint64_t[lanes];

// Copies to shared memory that are under way (cp.async): they land when they are waited for.
struct PendingCopy {
  int lane;
  std::uint32_t to;
  std::uint32_t bytes;
  std::uint8_t data[16];
};

struct Warp {
  Block* block = nullptr;
  int index = 0;                // in the block
  std::uint32_t present = 0;    // lanes that have a thread
  std::uint32_t running = 0;    // not exited
  std::uint32_t waiting = 0;    // at a barrier or a warp-wide instruction
  std::uint32_t atBarrier = 0;  // of those, the ones at the block's barrier
  bool converged = true;
  std::uint32_t pc = 0;  // while converged
  std::uint32_t pcs[lanes] = {};
  std::uint32_t epoch = 1;  // counts barriers and bar.warp.sync, which order the lanes' accesses of memory
  std::unique_ptr<Lanes[]> rows;
  std::deque<std::vector<PendingCopy>> copyGroups;
  std::vector<PendingCopy> copies;

  std::uint64_t* row(Row r) { return rows[r]; }
  int thread(int lane) const { return index * lanes + lane; }
  // Leaves the instruction for later: the lanes wait for others of the warp.
  void wait(std::uint32_t mask) { waiting |= mask; }
};

constexpr std::uint8_t manyLanes = 255;
// An access of a word of memory, or those that the lanes of a warp made before they were next in step.
struct Touch {
  Moment at;                  // of the last of them
  std::uint8_t lane[4] = {};  // that touched each of its bytes, or manyLanes
  std::uint8_t bytes = 0;     // that were touched, a bit each; 0: none was
  bool strong = false;        // atomic or volatile
};
// What a word saw last, to find races between threads.
struct WordShadow {
  Touch written;
  Touch read[2];  // two that nothing orders, where there are such
};
struct SharedShadow : WordShadow {
  bool pending = false;  // a copy to it is under way
};
struct GlobalShadow : WordShadow {
  std::uint32_t launch = 0;
  bool published = false;  // something may have been released there
};

struct Block {
  Launch* launch = nullptr;
  std::uint32_t number = 0;
  std::uint32_t at[3] = {};
  std::uint32_t epoch = 1;  // counts barriers
  std::vector<std::uint8_t> shared;
  std::vector<std::uint8_t> initialised;  // a byte for each byte of shared memory
  std::vector<SharedShadow> shadow;
  std::vector<Warp> warps;
  // What all its threads know of others, and what single ones do beyond that.
  SeenPtr known;
  std::vector<ThreadOrder> order;
  bool done() const;
};

struct Allocation {
  std::uint64_t at = 0;
  std::uint64_t bytes = 0;
  std::unique_ptr<GlobalShadow[]> shadow;
  // For the counters: which bytes of it the launch has read and written.
  std::uint64_t touchedLaunch = 0;
  std::vector<std::uint8_t> touched;
  std::vector<std::uint64_t> used;  // when the launch used each sector last, by the cache's clock
};

// Global memory: exact bounds, found by address.
class Memory {
 public:
  std::uint64_t allocate(std::uint64_t bytes);
  bool release(std::uint64_t at);
  // The allocation that holds [at, at + bytes), or null.
  Allocation* find(std::uint64_t at, std::uint64_t bytes);
  // Memory that belongs to somebody else: variables of a module, page-locked host memory.
  void addStatic(std::uint64_t at, std::uint64_t bytes);
  void forgetStatic(std::uint64_t at);
  // Says where an address lies, for messages.
  std::string describe(std::uint64_t at) const;
  std::uint64_t live() const { return live_; }

 private:
  std::map<std::uint64_t, Allocation> all_;
  Allocation* last_ = nullptr;
  std::uint64_t live_ = 0;
};
Memory& memory();

struct Launch {
  const Module* module = nullptr;
  const Kernel* kernel = nullptr;
  std::uint32_t number = 0;
  std::uint32_t grid[3] = {1, 1, 1};
  std::uint32_t threads[3] = {1, 1, 1};
  std::uint64_t sharedBytes = 0;
  std::vector<std::uint8_t> params;
  std::mt19937_64 random;
  bool checkRaces = true;
  std::uint64_t time = 0;  // counts instructions
  // What was released on a word, by its address.
  std::unordered_map<std::uint64_t, SeenPtr> published;
  std::uint64_t cacheBytes = 0, cacheClock = 0;  // 0: there is none; the clock counts bytes that have come in
  Counters counters;

  void run();
};

[[noreturn]] void fault(const Warp& w, const Instruction& i, int lane, int code, const std::string& what);

// Loops over the lanes of a mask; the full mask is the common case and vectorises.
template <class Body>
inline void eachLane(std::uint32_t mask, Body body) {
  if (mask == allLanes) {
    for (int l = 0; l < lanes; l++) body(l);
  } else {
    for (int l = 0; l < lanes; l++) {
      if ((mask >> l & 1) != 0) body(l);
    }
  }
}

template <class T>
inline T as(std::uint64_t x) {
  T value;
  __builtin_memcpy(&value, &x, sizeof(T));
  return value;
}
template <class T>
inline std::uint64_t bits(T value) {
  std::uint64_t x = 0;
  __builtin_memcpy(&x, &value, sizeof(T));
  return x;
}

}  // namespace gpusim
