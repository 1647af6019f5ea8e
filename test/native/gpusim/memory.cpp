// Chapter 6: loads, stores, atomics, addresses.
#include <algorithm>
#include <cstring>

#include "access.h"

namespace gpusim {

namespace {

constexpr std::uint8_t isStreamed = 1;

Space wordSpace(const Words& words) {
  for (const std::string& word : words) {
    if (word == "global") return Space::global;
    if (word == "shared" || word == "shared::cta") return Space::shared;
    if (word == "local") return Space::local;
    if (word == "param" || word == "param::entry") return Space::param;
    if (word == "const") return Space::constant;
  }
  return Space::generic;
}

std::uint64_t widen(const std::uint8_t* from, Type t) {
  std::uint64_t x = 0;
  std::memcpy(&x, from, static_cast<std::size_t>(bytesOf(t)));
  if (t == Type::s8) return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(x)));
  if (t == Type::s16) return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int16_t>(x)));
  // The register may be wider than what is loaded.
  if (t == Type::s32) return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(x)));
  return x;
}

bool countsAsGlobal(Space s, std::uint64_t address) {
  return s == Space::global || (s == Space::generic && (address & windowMask) == 0);
}

void load(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* base = w.row(i.src[0]);
  const auto size = static_cast<std::uint32_t>(bytesOf(i.type));
  const std::uint32_t bytes = size * i.vector;
  std::uint64_t addresses[lanes];
  bool global = false;
  eachLane(mask, [&](int l) {
    const std::uint64_t at = base[l] + static_cast<std::uint64_t>(i.immediate);
    addresses[l] = at;
    global = global || countsAsGlobal(i.space, at);
    const std::uint8_t* from = i.space == Space::constant ? reinterpret_cast<const std::uint8_t*>(at)
                                                          : reach(w, i, l, i.space, at, bytes, Access::read);
    for (int k = 0; k < i.vector; k++) {
      if (i.dst[k] != noRow) w.row(i.dst[k])[l] = widen(from + static_cast<std::uint32_t>(k) * size, i.type);
    }
  });
  if (global) countRequest(w, addresses, mask, bytes, false, (i.flags & isStreamed) != 0);
}

void store(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* base = w.row(i.src[0]);
  const auto size = static_cast<std::uint32_t>(bytesOf(i.type));
  const std::uint32_t bytes = size * i.vector;
  std::uint64_t addresses[lanes];
  bool global = false;
  eachLane(mask, [&](int l) {
    const std::uint64_t at = base[l] + static_cast<std::uint64_t>(i.immediate);
    addresses[l] = at;
    global = global || countsAsGlobal(i.space, at);
    std::uint8_t* to = reach(w, i, l, i.space, at, bytes, Access::write);
    for (int k = 0; k < i.vector; k++)
      std::memcpy(to + static_cast<std::uint32_t>(k) * size, &w.row(i.src[1 + k])[l], size);
  });
  if (global) countRequest(w, addresses, mask, bytes, true, (i.flags & isStreamed) != 0);
}

enum class Atomic : std::uint8_t { add, min, max, inc, dec, exch, cas, And, Or, Xor };

template <class T>
T combine(Atomic op, T old, T x, T y) {
  switch (op) {
    case Atomic::add:
      return static_cast<T>(old + x);
    case Atomic::min:
      return x < old ? x : old;
    case Atomic::max:
      return x > old ? x : old;
    case Atomic::inc:
      return old >= x ? T{} : static_cast<T>(old + 1);
    case Atomic::dec:
      return old == T{} || old > x ? x : static_cast<T>(old - 1);
    case Atomic::exch:
      return x;
    case Atomic::cas:
      return old == x ? y : old;
    default:
      return old;
  }
}

template <class T>
void atomic(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* base = w.row(i.src[0]);
  const auto op = static_cast<Atomic>(i.flags);
  // In an order of its own each time: results that depend on it show.
  int order[lanes];
  int n = 0;
  eachLane(mask, [&](int l) { order[n++] = l; });
  std::shuffle(order, order + n, w.block->launch->random);
  for (int k = 0; k < n; k++) {
    const int l = order[k];
    std::uint8_t* at =
        reach(w, i, l, i.space, base[l] + static_cast<std::uint64_t>(i.immediate), sizeof(T), Access::atomic);
    T old;
    std::memcpy(&old, at, sizeof(T));
    const T x = as<T>(w.row(i.src[1])[l]);
    const T y = i.srcs > 2 ? as<T>(w.row(i.src[2])[l]) : T{};
    T result;
    if constexpr (std::is_integral_v<T>) {
      result = op == Atomic::And   ? (old & x)
               : op == Atomic::Or  ? (old | x)
               : op == Atomic::Xor ? (old ^ x)
                                   : combine(op, old, x, y);
    } else {
      result = combine(op, old, x, y);
    }
    std::memcpy(at, &result, sizeof(T));
    if (i.dsts > 0 && i.dst[0] != noRow) w.row(i.dst[0])[l] = bits(old);
  }
  w.block->launch->counters.atomics += static_cast<std::uint64_t>(n);
}

bool atomicFamily(const Words& words, Instruction& i) {
  static const std::map<std::string, Atomic> ops = {
      {"add", Atomic::add},   {"min", Atomic::min}, {"max", Atomic::max}, {"inc", Atomic::inc}, {"dec", Atomic::dec},
      {"exch", Atomic::exch}, {"cas", Atomic::cas}, {"and", Atomic::And}, {"or", Atomic::Or},   {"xor", Atomic::Xor}};
  bool found = false;
  for (const std::string& word : words) {
    const auto op = ops.find(word);
    if (op == ops.end()) continue;
    i.flags = static_cast<std::uint8_t>(op->second);
    found = true;
  }
  if (!found) return false;
  switch (i.type) {
    case Type::u32:
    case Type::b32:
      i.run = atomic<std::uint32_t>;
      break;
    case Type::s32:
      i.run = atomic<std::int32_t>;
      break;
    case Type::u64:
    case Type::b64:
      i.run = atomic<std::uint64_t>;
      break;
    case Type::s64:
      i.run = atomic<std::int64_t>;
      break;
    case Type::f32:
      i.run = atomic<float>;
      break;
    default:
      return false;
  }
  return true;
}

void toGeneric(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t window = i.space == Space::shared  ? sharedWindow
                               : i.space == Space::param ? paramWindow
                               : i.space == Space::local ? localWindow
                                                         : 0;
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [&](int l) { y[l] = x[l] | window; });
}

void toSpace(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [&](int l) { y[l] = i.space == Space::global ? x[l] : x[l] & ~windowMask; });
}

void isSpace(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    std::uint64_t at = w.row(i.src[0])[l];
    w.row(i.dst[0])[l] = spaceOf(at) == i.space ? 1 : 0;
  });
}

}  // namespace

bool memoryFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  if (op != "ld" && op != "st" && op != "atom" && op != "red" && op != "cvta" && op != "isspacep" && op != "ldu")
    return false;
  i.space = wordSpace(words);
  i.kind = Class::memory;
  if (op == "cvta") {
    i.kind = Class::integer;
    i.run = has(words, "to") ? toSpace : toGeneric;
    return true;
  }
  if (op == "isspacep") {
    i.kind = Class::integer;
    i.run = isSpace;
    return true;
  }
  for (const char* word : {"volatile", "relaxed", "acquire", "release", "acq_rel"}) {
    if (has(words, word)) i.order |= strong;
  }
  if (has(words, "acquire") || has(words, "acq_rel")) i.order |= acquires;
  if (has(words, "release") || has(words, "acq_rel")) i.order |= releases;
  // What is strong within a block only would have to be told apart from what is strong for all.
  if (i.space != Space::shared && (has(words, "cta") || has(words, "cluster"))) return false;
  if (op == "atom" || op == "red") {
    i.order |= strong;
    return atomicFamily(words, i);
  }
  i.vector = has(words, "v8") ? 8 : has(words, "v4") ? 4 : has(words, "v2") ? 2 : 1;
  if (has(words, "cs")) i.flags |= isStreamed;
  i.run = op == "st" ? store : load;
  return true;
}

}  // namespace gpusim
