// Chapter 11: what the lanes of a warp do together: shuffles, votes, matches, reductions. Lanes that are named in the
// mask are waited for; naming one that has exited, or leaving out one that takes part, is a fault.
#include "machine.h"

namespace gpusim {

namespace {

// The lanes that carry the instruction out now, or 0 when some have to be waited for.
std::uint32_t gather(Warp& w, const Instruction& i, std::uint32_t mask, Row membersRow) {
  const int first = __builtin_ctz(mask);
  const auto members = static_cast<std::uint32_t>(w.row(membersRow)[first]);
  const std::uint32_t here = w.converged ? w.pc : w.pcs[first];
  eachLane(mask, [&](int l) {
    if (static_cast<std::uint32_t>(w.row(membersRow)[l]) != members && (members >> l & 1) != 0)
      fault(w, i, l, launchFailed, "lanes of one warp-wide instruction give different member masks");
    if ((members >> l & 1) == 0)
      fault(
          w, i, l, launchFailed,
          "this lane takes part in a warp-wide instruction whose mask (" + std::to_string(members) + ") leaves it out");
  });
  if ((members & ~w.running & w.present) != 0)
    fault(w, i, __builtin_ctz(members & ~w.running & w.present), launchFailed,
          "the mask of a warp-wide instruction names a lane that has exited");
  if ((members & ~w.present) != 0 && (members & w.present) != w.present)
    fault(w, i, first, launchFailed, "the mask of a warp-wide instruction names lanes that do not exist");
  const std::uint32_t needed = members & w.present;
  // Those that came before wait at the same place.
  std::uint32_t come = mask;
  eachLane(w.waiting, [&](int l) {
    if (w.pcs[l] == here) come |= 1u << l;
  });
  if ((needed & ~come) != 0) {
    w.waiting |= mask;
    w.converged = false;
    return 0;
  }
  w.waiting &= ~needed;
  return needed;
}

void shuffle(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint32_t all = gather(w, i, mask, i.src[3]);
  if (all == 0) return;
  std::uint64_t out[lanes];
  std::uint64_t valid[lanes];
  eachLane(all, [&](int l) {
    const auto b = static_cast<int>(w.row(i.src[1])[l] & 31);
    const auto c = static_cast<unsigned>(w.row(i.src[2])[l]);
    const int clamp = static_cast<int>(c & 31);
    const int segment = static_cast<int>(c >> 8 & 31);
    const int most = (l & segment) | (clamp & ~segment);
    const int least = l & segment;
    int from = l;
    bool ok = true;
    switch (i.flags) {
      case 0:
        from = l - b;
        ok = from >= most;
        break;  // up
      case 1:
        from = l + b;
        ok = from <= most;
        break;  // down
      case 2:
        from = l ^ b;
        ok = from <= most;
        break;  // bfly
      default:
        from = least | (b & ~segment);
        ok = from <= most;  // idx
    }
    if (!ok) from = l;
    if ((all >> from & 1) == 0)
      fault(w, i, l, launchFailed, "a shuffle reads lane " + std::to_string(from) + ", which does not take part");
    out[l] = w.row(i.src[0])[from] & 0xffffffffu;
    valid[l] = ok ? 1 : 0;
  });
  eachLane(all, [&](int l) {
    if (i.dst[0] != noRow) w.row(i.dst[0])[l] = out[l];
    if (i.dsts > 1 && i.dst[1] != noRow) w.row(i.dst[1])[l] = valid[l];
  });
}

void vote(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint32_t all = gather(w, i, mask, i.src[1]);
  if (all == 0) return;
  std::uint32_t ballot = 0;
  eachLane(all, [&](int l) { ballot |= (w.row(i.src[0])[l] & 1) != 0 ? 1u << l : 0u; });
  const std::uint64_t result = i.flags == 0   ? ballot
                               : i.flags == 1 ? ballot == all
                               : i.flags == 2 ? ballot != 0
                                              : ballot == all || ballot == 0;
  eachLane(all, [&](int l) { w.row(i.dst[0])[l] = result; });
}

void match(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint32_t all = gather(w, i, mask, i.src[1]);
  if (all == 0) return;
  const std::uint64_t width = i.type == Type::b64 ? ~0ull : 0xffffffffull;
  std::uint32_t out[lanes] = {};
  eachLane(all, [&](int l) {
    eachLane(all, [&](int m) { out[l] |= ((w.row(i.src[0])[m] ^ w.row(i.src[0])[l]) & width) == 0 ? 1u << m : 0u; });
  });
  eachLane(all, [&](int l) {
    const bool every = out[l] == all;
    w.row(i.dst[0])[l] = i.flags == 0 ? out[l] : every ? all : 0;
    if (i.dsts > 1 && i.dst[1] != noRow) w.row(i.dst[1])[l] = every ? 1 : 0;
  });
}

void reduce(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint32_t all = gather(w, i, mask, i.src[1]);
  if (all == 0) return;
  bool first = true;
  std::uint32_t total = 0;
  eachLane(all, [&](int l) {
    const auto x = static_cast<std::uint32_t>(w.row(i.src[0])[l]);
    const auto sx = static_cast<std::int32_t>(x);
    const auto st = static_cast<std::int32_t>(total);
    if (first) {
      total = x;
      first = false;
      return;
    }
    switch (i.flags) {
      case 0:
        total += x;
        break;
      case 1:
        total = i.type == Type::s32 ? (sx < st ? x : total) : (x < total ? x : total);
        break;
      case 2:
        total = i.type == Type::s32 ? (sx > st ? x : total) : (x > total ? x : total);
        break;
      case 3:
        total &= x;
        break;
      case 4:
        total |= x;
        break;
      default:
        total ^= x;
    }
  });
  eachLane(all, [&](int l) { w.row(i.dst[0])[l] = total; });
}

// Of all these only this one orders accesses of memory.
void syncWarp(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint32_t all = gather(w, i, mask, i.src[0]);
  if (all == 0) return;
  w.epoch++;
  shareInWarp(w, all);
}

void activeMask(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) { w.row(i.dst[0])[l] = mask; });
}

int indexOf(const Words& words, std::initializer_list<const char*> names) {
  int k = 0;
  for (const char* name : names) {
    if (has(words, name)) return k;
    k++;
  }
  return -1;
}

}  // namespace

bool warpFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  int how = 0;
  if (op == "shfl") {
    how = indexOf(words, {"up", "down", "bfly", "idx"});
    i.run = shuffle;
  } else if (op == "vote") {
    how = indexOf(words, {"ballot", "all", "any", "uni"});
    i.run = vote;
  } else if (op == "match") {
    how = indexOf(words, {"any", "all"});
    i.run = match;
  } else if (op == "redux") {
    how = indexOf(words, {"add", "min", "max", "and", "or", "xor"});
    i.run = reduce;
  } else if ((op == "bar" || op == "barrier") && has(words, "warp")) {
    i.run = syncWarp;
  } else if (op == "activemask") {
    i.run = activeMask;
  } else {
    return false;
  }
  i.kind = Class::warp;
  i.flags = static_cast<std::uint8_t>(how);
  return how >= 0 && (op == "activemask" || has(words, "sync"));
}

}  // namespace gpusim
