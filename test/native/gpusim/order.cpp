// Chapter 5: what comes before what between threads that share global memory.
#include "order.h"

#include <algorithm>

#include "machine.h"

namespace gpusim {

namespace {

std::uint64_t threadKey(const Moment& m) { return std::uint64_t{m.block} << 32 | m.thread; }
std::uint64_t warpKey(const Moment& m) { return std::uint64_t{m.block} << 32 | m.thread / lanes; }

SeenPtr joined(const SeenPtr& a, const SeenPtr& b) {
  if (a == nullptr || a == b) return b;
  if (b == nullptr) return a;
  auto both = std::make_shared<Seen>(*a);
  both->join(*b);
  return both;
}

ThreadOrder& orderOf(Warp& w, int lane) {
  Block& b = *w.block;
  if (b.order.empty()) b.order.resize(b.warps.size() * lanes);
  return b.order[static_cast<std::size_t>(w.thread(lane))];
}

// The order of a thread that has done none of this is not kept.
const ThreadOrder* knownOrderOf(const Warp& w, int lane) {
  const Block& b = *w.block;
  return b.order.empty() ? nullptr : &b.order[static_cast<std::size_t>(w.thread(lane))];
}

// What the thread's last fence has made visible; null: it had none.
const SeenPtr& releasedBy(ThreadOrder& t) {
  if (t.released == nullptr && t.fences > 0) {
    auto all = std::make_shared<Seen>();
    if (t.blockKnew != nullptr) all->join(*t.blockKnew);
    if (t.threadKnew != nullptr) all->join(*t.threadKnew);
    all->addFence(t.fenced);
    t.released = std::move(all);
  }
  return t.released;
}

// All that the thread has done and knows of is visible to whoever acquires what it writes from now on.
void release(const Warp& w, int lane, ThreadOrder& t) {
  t.fences++;
  t.fenced = momentOf(w, lane);
  t.blockKnew = w.block->known;
  t.threadKnew = t.learnt;
  t.released = nullptr;
}

}  // namespace

bool Seen::covers(const Counts& counts, std::uint64_t key, std::uint32_t count) {
  const auto found = std::lower_bound(counts.begin(), counts.end(), std::pair{key, 0u});
  return found != counts.end() && found->first == key && count < found->second;
}

bool Seen::includes(const Moment& m) const {
  return (m.block < blocks_.size() && m.barriers < blocks_[m.block]) || covers(threads_, threadKey(m), m.fences) ||
         covers(warps_, warpKey(m), m.warpSyncs);
}

void Seen::joinCounts(Counts& to, const Counts& from) {
  if (from.empty()) return;
  Counts both;
  both.reserve(to.size() + from.size());
  std::merge(to.begin(), to.end(), from.begin(), from.end(), std::back_inserter(both));
  // Of two with one key the later in the order has the greater count.
  to.clear();
  for (const auto& entry : both) {
    if (!to.empty() && to.back().first == entry.first)
      to.back() = entry;
    else
      to.push_back(entry);
  }
}

void Seen::join(const Seen& other) {
  if (blocks_.size() < other.blocks_.size()) blocks_.resize(other.blocks_.size());
  for (std::size_t b = 0; b < other.blocks_.size(); b++) blocks_[b] = std::max(blocks_[b], other.blocks_[b]);
  joinCounts(warps_, other.warps_);
  joinCounts(threads_, other.threads_);
}

void Seen::addFence(const Moment& m) {
  if (blocks_.size() <= m.block) blocks_.resize(m.block + 1);
  blocks_[m.block] = std::max(blocks_[m.block], m.barriers);
  joinCounts(warps_, {{warpKey(m), m.warpSyncs}});
  joinCounts(threads_, {{threadKey(m), m.fences}});
}

Moment momentOf(const Warp& w, int lane) {
  const ThreadOrder* t = knownOrderOf(w, lane);
  return {w.block->number, static_cast<std::uint32_t>(w.thread(lane)), w.block->epoch, w.epoch,
          t == nullptr ? 0 : t->fences};
}

bool comesBefore(const Moment& then, const Warp& w, int lane) {
  const Block& b = *w.block;
  if (then.block == b.number) {
    if (then.thread == static_cast<std::uint32_t>(w.thread(lane)) || then.barriers < b.epoch) return true;
    if (then.thread / lanes == static_cast<std::uint32_t>(w.index) && then.warpSyncs < w.epoch) return true;
  }
  if (b.known != nullptr && b.known->includes(then)) return true;
  const ThreadOrder* t = knownOrderOf(w, lane);
  return t != nullptr && t->learnt != nullptr && t->learnt->includes(then);
}

void fenceLane(Warp& w, int lane) {
  ThreadOrder& t = orderOf(w, lane);
  if (t.noticed != nullptr) {
    t.learnt = joined(t.learnt, t.noticed);
    t.noticed = nullptr;
  }
  release(w, lane, t);
}

void publish(Warp& w, int lane, std::uint64_t word, bool atomic, bool releases) {
  if (releases) release(w, lane, orderOf(w, lane));
  auto& published = w.block->launch->published;
  const SeenPtr mine = w.block->order.empty() ? nullptr : releasedBy(orderOf(w, lane));
  if (!atomic) {
    published[word] = mine;
  } else if (mine != nullptr) {
    SeenPtr& there = published[word];
    there = joined(there, mine);
  }
}

void notice(Warp& w, int lane, std::uint64_t word, bool acquires) {
  const auto& published = w.block->launch->published;
  if (published.empty()) return;
  const auto found = published.find(word);
  if (found == published.end() || found->second == nullptr) return;
  ThreadOrder& t = orderOf(w, lane);
  SeenPtr& to = acquires ? t.learnt : t.noticed;
  // Who waits reads the same again and again.
  if (t.latest == found->second && !acquires) return;
  t.latest = found->second;
  to = joined(to, found->second);
}

void shareInWarp(Warp& w, std::uint32_t mask) {
  if (w.block->order.empty()) return;
  SeenPtr all;
  eachLane(mask, [&](int l) { all = joined(all, orderOf(w, l).learnt); });
  if (all != nullptr) eachLane(mask, [&](int l) { orderOf(w, l).learnt = all; });
}

void shareInBlock(Block& b) {
  for (ThreadOrder& t : b.order) {
    if (t.learnt == nullptr) continue;
    b.known = joined(b.known, t.learnt);
    t.learnt = nullptr;
  }
}

}  // namespace gpusim
