// Chapter 8: bits, predicates and choices.
#include "lanewise.h"

namespace gpusim {

namespace {

struct And {
  template <class T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return a | b;
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
struct NotPred {
  template <class T>
  T operator()(T a) const {
    return a ^ 1;
  }
};
struct Mov {
  template <class T>
  T operator()(T a) const {
    return a;
  }
};
struct Popc {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(__builtin_popcountll(a));
  }
};
struct Clz {
  template <class T>
  std::uint32_t operator()(T a) const {
    return a == 0 ? 8 * sizeof(T) : static_cast<std::uint32_t>(__builtin_clzll(a)) - (64 - 8 * sizeof(T));
  }
};
// The place of the highest one, or how far it is from the top; all ones where there is none.
template <bool fromTop>
struct Bfind {
  template <class T>
  std::uint32_t operator()(T a) const {
    if (a == 0) return ~0u;
    const std::uint32_t zeros = Clz{}(a);
    return fromTop ? zeros : static_cast<std::uint32_t>(8 * sizeof(T)) - 1 - zeros;
  }
};
struct Brev {
  template <class T>
  T operator()(T a) const {
    T r = 0;
    for (unsigned k = 0; k < 8 * sizeof(T); k++) r |= static_cast<T>((a >> k & 1) << (8 * sizeof(T) - 1 - k));
    return r;
  }
};
// Shifts clamp at the width; the count is 32 bits whatever the type.
template <class T>
void shiftLeft(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const auto n = static_cast<std::uint32_t>(w.row(i.src[1])[l]);
    const T a = as<T>(w.row(i.src[0])[l]);
    w.row(i.dst[0])[l] = n >= 8 * sizeof(T) ? 0 : bits(static_cast<T>(a << n));
  });
}
template <class T>
void shiftRight(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    auto n = static_cast<std::uint32_t>(w.row(i.src[1])[l]);
    const T a = as<T>(w.row(i.src[0])[l]);
    if (n >= 8 * sizeof(T)) n = std::is_signed_v<T> ? 8 * sizeof(T) - 1 : 8 * sizeof(T);
    w.row(i.dst[0])[l] = n == 8 * sizeof(T) ? 0 : bits(static_cast<T>(a >> n));
  });
}

template <class T>
void bitField(Warp& w, const Instruction& i, std::uint32_t mask) {  // bfe
  eachLane(mask, [&](int l) {
    const T a = as<T>(w.row(i.src[0])[l]);
    const unsigned pos = w.row(i.src[1])[l] & 0xff;
    const unsigned len = w.row(i.src[2])[l] & 0xff;
    const unsigned msb = 8 * sizeof(T) - 1;
    const bool sign =
        std::is_signed_v<T> && len > 0 && ((static_cast<std::uint64_t>(a) >> std::min(pos + len - 1, msb)) & 1) != 0;
    Unsigned<T> out = sign ? static_cast<Unsigned<T>>(~Unsigned<T>{}) : Unsigned<T>{};
    for (unsigned k = 0; k <= msb && k < len && pos + k <= msb; k++) {
      const auto bit = static_cast<Unsigned<T>>(static_cast<Unsigned<T>>(a) >> (pos + k) & 1);
      out = static_cast<Unsigned<T>>((out & ~(Unsigned<T>{1} << k)) | static_cast<Unsigned<T>>(bit << k));
    }
    w.row(i.dst[0])[l] = bits(out);
  });
}

void bitInsert(Warp& w, const Instruction& i, std::uint32_t mask) {  // bfi
  const unsigned width = bytesOf(i.type) * 8u;
  eachLane(mask, [&](int l) {
    const std::uint64_t a = w.row(i.src[0])[l];
    std::uint64_t out = w.row(i.src[1])[l];
    const unsigned pos = w.row(i.src[2])[l] & 0xff;
    const unsigned len = w.row(i.src[3])[l] & 0xff;
    for (unsigned k = 0; k < len && pos + k < width; k++)
      out = (out & ~(1ull << (pos + k))) | ((a >> k & 1) << (pos + k));
    w.row(i.dst[0])[l] = out;
  });
}

void permuteBytes(Warp& w, const Instruction& i, std::uint32_t mask) {  // prmt, default mode
  eachLane(mask, [&](int l) {
    const std::uint64_t both = (w.row(i.src[0])[l] & 0xffffffff) | w.row(i.src[1])[l] << 32;
    const std::uint64_t select = w.row(i.src[2])[l];
    std::uint32_t out = 0;
    for (int k = 0; k < 4; k++) {
      const auto nibble = static_cast<unsigned>(select >> (4 * k) & 0xf);
      auto byte = static_cast<std::uint32_t>(both >> (8 * (nibble & 7)) & 0xff);
      if ((nibble & 8) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;
      out |= byte << (8 * k);
    }
    w.row(i.dst[0])[l] = out;
  });
}

// shf: flags bit 0 right, bit 1 wrap (else clamp).
void funnelShift(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const std::uint64_t both = (w.row(i.src[0])[l] & 0xffffffff) | w.row(i.src[1])[l] << 32;
    std::uint64_t n = w.row(i.src[2])[l] & 0xffffffff;
    n = (i.flags & 2) != 0 ? n & 31 : std::min<std::uint64_t>(n, 32);
    w.row(i.dst[0])[l] =
        (i.flags & 1) != 0 ? static_cast<std::uint32_t>(both >> n) : static_cast<std::uint32_t>(both << n >> 32);
  });
}

void lookup3(Warp& w, const Instruction& i, std::uint32_t mask) {
  const auto table = static_cast<unsigned>(w.row(i.src[3])[0]);
  eachLane(mask, [&](int l) {
    const auto a = static_cast<std::uint32_t>(w.row(i.src[0])[l]);
    const auto b = static_cast<std::uint32_t>(w.row(i.src[1])[l]);
    const auto c = static_cast<std::uint32_t>(w.row(i.src[2])[l]);
    std::uint32_t out = 0;
    for (unsigned k = 0; k < 8; k++) {
      if ((table >> k & 1) != 0) out |= ((k & 4) != 0 ? a : ~a) & ((k & 2) != 0 ? b : ~b) & ((k & 1) != 0 ? c : ~c);
    }
    w.row(i.dst[0])[l] = out;
  });
}

void select(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t *a = w.row(i.src[0]), *b = w.row(i.src[1]), *p = w.row(i.src[2]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = (p[l] & 1) != 0 ? a[l] : b[l]; });
}

// mov between one register and a vector of narrower ones.
void pack(Warp& w, const Instruction& i, std::uint32_t mask) {
  const int n = i.srcs;
  const int width = bytesOf(i.type) * 8 / n;
  eachLane(mask, [&](int l) {
    std::uint64_t out = 0;
    for (int k = 0; k < n; k++) {
      const std::uint64_t part = width == 64 ? ~0ull : (1ull << width) - 1;
      out |= (w.row(i.src[k])[l] & part) << (k * width);
    }
    w.row(i.dst[0])[l] = out;
  });
}
void unpack(Warp& w, const Instruction& i, std::uint32_t mask) {
  const int width = bytesOf(i.type) * 8 / i.dsts;
  eachLane(mask, [&](int l) {
    const std::uint64_t x = w.row(i.src[0])[l];
    for (int k = 0; k < i.dsts; k++) {
      if (i.dst[k] != noRow) w.row(i.dst[k])[l] = x >> (k * width) & ((1ull << width) - 1);
    }
  });
}

enum Compare : std::uint8_t { eq, ne, lt, le, gt, ge };

// setp: flags holds the comparison, immediate how a third operand is combined (0 none, 1 and, 2 or, 3 xor).
template <class T>
void setPredicate(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t *a = w.row(i.src[0]), *b = w.row(i.src[1]);
  const std::uint64_t* c = i.srcs > 2 ? w.row(i.src[2]) : nullptr;
  eachLane(mask, [&](int l) {
    const T x = as<T>(a[l]);
    const T y = as<T>(b[l]);
    bool r = false;
    switch (i.flags) {
      case eq:
        r = x == y;
        break;
      case ne:
        r = x != y;
        break;
      case lt:
        r = x < y;
        break;
      case le:
        r = x <= y;
        break;
      case gt:
        r = x > y;
        break;
      default:
        r = x >= y;
        break;
    }
    const auto with = [&](bool value) {
      const bool third = c != nullptr && (c[l] & 1) != 0;
      return i.immediate == 1   ? value && third
             : i.immediate == 2 ? value || third
             : i.immediate == 3 ? value != third
                                : value;
    };
    if (i.dst[0] != noRow) w.row(i.dst[0])[l] = with(r) ? 1 : 0;
    if (i.dsts > 1 && i.dst[1] != noRow) w.row(i.dst[1])[l] = with(!r) ? 1 : 0;
  });
}

template <class T>
struct ShiftLeft {
  static Handler make() { return shiftLeft<T>; }
};
template <class T>
struct ShiftRight {
  static Handler make() { return shiftRight<T>; }
};
template <class T>
struct BitField {
  static Handler make() { return bitField<T>; }
};
template <class T>
struct SetPredicate {
  static Handler make() { return setPredicate<T>; }
};

Handler predicate(const Words& words, Instruction& i) {
  static const std::map<std::string, Compare> names = {{"eq", eq}, {"ne", ne}, {"lt", lt}, {"le", le}, {"gt", gt},
                                                       {"ge", ge}, {"lo", lt}, {"ls", le}, {"hi", gt}, {"hs", ge}};
  const auto found = names.find(words[1]);
  if (found == names.end()) return nullptr;
  i.flags = found->second;
  i.immediate = has(words, "and") ? 1 : has(words, "or") ? 2 : has(words, "xor") ? 3 : 0;
  return signedTypes<SetPredicate>(i.type);
}

}  // namespace

bool bitFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  i.kind = Class::integer;
  const Type t = i.type;
  if (op == "mov")
    i.run = i.srcs > 1       ? pack
            : i.dsts > 1     ? unpack
            : t == Type::f32 ? unary<std::uint32_t, Mov>
            : t == Type::f64 ? unary<std::uint64_t, Mov>
                             : signedTypes<Unary<Mov>::Of>(t);
  else if (op == "and")
    i.run = signedTypes<Binary<And>::Of>(t);
  else if (op == "or")
    i.run = signedTypes<Binary<Or>::Of>(t);
  else if (op == "xor")
    i.run = signedTypes<Binary<Xor>::Of>(t);
  else if (op == "not")
    i.run = t == Type::pred ? unary<std::uint8_t, NotPred> : signedTypes<Unary<Not>::Of>(t);
  else if (op == "shl")
    i.run = signedTypes<ShiftLeft>(t);
  else if (op == "shr")
    i.run = signedTypes<ShiftRight>(t);
  else if (op == "popc")
    i.run = t == Type::b64 ? unary<std::uint64_t, Popc> : unary<std::uint32_t, Popc>;
  else if (op == "clz")
    i.run = t == Type::b64 ? unary<std::uint64_t, Clz> : unary<std::uint32_t, Clz>;
  else if (op == "bfind" && t == Type::u32)
    i.run = has(words, "shiftamt") ? unary<std::uint32_t, Bfind<true>> : unary<std::uint32_t, Bfind<false>>;
  else if (op == "brev")
    i.run = t == Type::b64 ? unary<std::uint64_t, Brev> : unary<std::uint32_t, Brev>;
  else if (op == "bfe")
    i.run = signedTypes<BitField>(t);
  else if (op == "bfi")
    i.run = bitInsert;
  else if (op == "prmt" && words.size() == 2)
    i.run = permuteBytes;
  else if (op == "shf") {
    i.flags = static_cast<std::uint8_t>((has(words, "r") ? 1 : 0) | (has(words, "wrap") ? 2 : 0));
    i.run = funnelShift;
  } else if (op == "lop3")
    i.run = lookup3;
  else if (op == "selp")
    i.run = select;
  else if (op == "setp")
    i.run = predicate(words, i);
  return i.run != nullptr;
}

}  // namespace gpusim
