// Chapter 5: what comes before what between threads that share global memory, after the PTX ISA's "Memory Consistency
// Model". Within a block barriers order, within a warp bar.warp.sync. Between blocks it takes a release (a fence and
// then a strong write, by the same thread) and an acquire (a strong read that sees it and then a fence, by the same
// thread); atomics and volatile accesses are strong. What a thread knows of is handed on with its own.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gpusim {

struct Block;
struct Warp;

// When a thread does something, by what it and those beside it have gone through.
struct Moment {
  std::uint32_t block = 0, thread = 0;
  std::uint32_t barriers = 0;   // of the block
  std::uint32_t warpSyncs = 0;  // of the warp
  std::uint32_t fences = 0;     // of the thread
};

// Which moments have been made visible.
class Seen {
 public:
  bool includes(const Moment& m) const;
  void join(const Seen& other);
  // What a fence makes visible of its own block: all before the last barrier, of the warp all before it was last in
  // step, of the thread all.
  void addFence(const Moment& m);

 private:
  // Keys and counts, sorted by key: the moments of that thread or warp that have counted less.
  using Counts = std::vector<std::pair<std::uint64_t, std::uint32_t>>;
  static bool covers(const Counts& counts, std::uint64_t key, std::uint32_t count);
  static void joinCounts(Counts& to, const Counts& from);

  std::vector<std::uint32_t> blocks_;  // by number: the moments that have counted fewer barriers
  Counts warps_, threads_;
};
using SeenPtr = std::shared_ptr<const Seen>;

// What a thread has published and learnt, where that is more than its block has.
struct ThreadOrder {
  std::uint32_t fences = 0;
  SeenPtr learnt;   // acquired since the last barrier
  SeenPtr noticed;  // read since the last fence: acquired with the next one
  SeenPtr latest;   // the last that it read, to know it again
  // At the last fence.
  Moment fenced;
  SeenPtr blockKnew, threadKnew;
  SeenPtr released;  // what the fence made visible, once somebody wants it
};

Moment momentOf(const Warp& w, int lane);
// Whether what was done then comes before what this lane does now.
bool comesBefore(const Moment& then, const Warp& w, int lane);

// A fence for the whole device.
void fenceLane(Warp& w, int lane);
// A strong write of a word; one that is no atomic ends what was published there before.
void publish(Warp& w, int lane, std::uint64_t word, bool atomic, bool releases);
// A strong read of a word.
void notice(Warp& w, int lane, std::uint64_t word, bool acquires);
// A bar.warp.sync and a barrier: each learns what the others have learnt.
void shareInWarp(Warp& w, std::uint32_t mask);
void shareInBlock(Block& b);

}  // namespace gpusim
