// Chapter 4: branches, exits, barriers and fences.
#include "machine.h"

namespace gpusim {

namespace {

// Lanes part: from now on each has its own place.
void part(Warp& w) {
  if (!w.converged) return;
  w.converged = false;
}

void branch(Warp& w, const Instruction& i, std::uint32_t mask) {
  if (w.converged && mask == w.running) {
    w.pc = i.target;
    return;
  }
  part(w);
  eachLane(mask, [&](int l) { w.pcs[l] = i.target; });
}

void exitLanes(Warp& w, const Instruction&, std::uint32_t mask) {
  w.running &= ~mask;
  if (w.running != 0 && !w.converged && w.waiting == 0) {
    // The rest may be together now.
    const std::uint32_t pc = w.pcs[__builtin_ctz(w.running)];
    bool together = true;
    eachLane(w.running, [&](int l) { together = together && w.pcs[l] == pc; });
    w.converged = together;
    w.pc = pc;
  }
}

void trapLanes(Warp& w, const Instruction& i, std::uint32_t mask) {
  fault(w, i, __builtin_ctz(mask), launchFailed, "trap");
}

void barrier(Warp& w, const Instruction& i, std::uint32_t mask) {
  if (i.srcs > 1 || w.row(i.src[0])[0] != 0)
    fault(w, i, __builtin_ctz(mask), illegalInstruction,
          "barriers other than 0 over the whole block are not simulated");
  // The lanes of a warp come to one barrier together: the first wait for the rest. If the rest never come, nothing can
  // go on, and that is found out (Launch::run).
  const std::uint32_t here = w.converged ? w.pc : w.pcs[__builtin_ctz(mask)];
  eachLane(w.atBarrier, [&](int l) {
    if (w.pcs[l] != here)
      fault(w, i, __builtin_ctz(mask), launchFailed, "a divergent barrier: lanes of this warp wait at another one");
  });
  w.atBarrier |= mask;
  w.waiting |= mask;
  if (w.atBarrier != w.running) w.converged = false;
}

void fence(Warp& w, const Instruction&, std::uint32_t mask) {
  eachLane(mask, [&](int l) { fenceLane(w, l); });
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

}  // namespace

bool controlFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  i.kind = Class::control;
  if (op == "bra")
    i.run = branch;
  else if (op == "ret" || op == "exit")
    i.run = exitLanes;
  else if (op == "trap")
    i.run = trapLanes;
  else if ((op == "bar" || op == "barrier") && has(words, "sync") && !has(words, "warp"))
    i.run = barrier;
  else if (op == "membar" || op == "fence")
    i.run = has(words, "cta") || has(words, "cluster") ? nothing : fence;
  else if (op == "nanosleep" || op == "prefetch" || op == "pmevent")
    i.run = nothing;
  else {
    i.kind = Class::integer;
    return false;
  }
  return true;
}

}  // namespace gpusim
