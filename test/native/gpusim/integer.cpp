// Chapter 7: arithmetic of integers.
#include "lanewise.h"

namespace gpusim {

namespace {

template <class T>
using Wide = std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>,
                                std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

// Arithmetic wraps: done without sign.
struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
  }
};
struct MulLow {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  }
};
struct MulWide {
  template <class T>
  Wide<T> operator()(T a, T b) const {
    return static_cast<Wide<T>>(static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b));
  }
};
struct MulHigh {
  template <class T>
  T operator()(T a, T b) const {
    using Twice = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>(static_cast<Twice>(a) * static_cast<Twice>(b) >> (8 * sizeof(T)));
  }
};
template <class M>
struct MadOf {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(static_cast<T>(M{}(a, b)), c);
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(Unsigned<T>{} - static_cast<Unsigned<T>>(a));
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return a < 0 ? Neg{}(a) : a;
  }
};
struct Sad {
  template <class T>
  T operator()(T a, T b, T c) const {
    return static_cast<T>(c + (a < b ? b - a : a - b));
  }
};

template <class T, bool remainder>
void divide(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const T a = as<T>(w.row(i.src[0])[l]);
    const T b = as<T>(w.row(i.src[1])[l]);
    if (b == 0) fault(w, i, l, launchFailed, "integer division by zero");
    const bool overflows = std::is_signed_v<T> && b == static_cast<T>(-1);
    const T q = overflows ? Neg{}(a) : static_cast<T>(a / b);
    w.row(i.dst[0])[l] = bits(remainder ? static_cast<T>(overflows ? 0 : a % b) : q);
  });
}

template <class T>
struct Divide {
  static Handler make() { return divide<T, false>; }
};
template <class T>
struct Remainder {
  static Handler make() { return divide<T, true>; }
};
template <class T>
void madWide(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    auto product = MulWide{}(as<T>(w.row(i.src[0])[l]), as<T>(w.row(i.src[1])[l]));
    w.row(i.dst[0])[l] = bits(Add{}(product, as<decltype(product)>(w.row(i.src[2])[l])));
  });
}
template <class T>
struct MadWide {
  static Handler make() { return madWide<T>; }
};
template <class T>
struct Wider {
  static Handler make() { return binary<T, MulWide>; }
};

}  // namespace

bool integerFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  i.kind = Class::integer;
  const Type t = i.type;
  const bool low = has(words, "lo"), high = has(words, "hi"), wide = has(words, "wide");
  if (op == "add")
    i.run = signedTypes<Binary<Add>::Of>(t);
  else if (op == "sub")
    i.run = signedTypes<Binary<Sub>::Of>(t);
  else if (op == "mul" && wide)
    i.run = t == Type::u64 || t == Type::s64 ? nullptr : signedTypes<Wider>(t);
  else if (op == "mul" && high)
    i.run = signedTypes<Binary<MulHigh>::Of>(t);
  else if ((op == "mul" && low) || op == "mul24")
    i.run = op == "mul" ? signedTypes<Binary<MulLow>::Of>(t) : nullptr;
  else if (op == "mad" && wide)
    i.run = t == Type::u64 || t == Type::s64 ? nullptr : signedTypes<MadWide>(t);
  else if (op == "mad" && high)
    i.run = signedTypes<Ternary<MadOf<MulHigh>>::Of>(t);
  else if (op == "mad" && low)
    i.run = signedTypes<Ternary<MadOf<MulLow>>::Of>(t);
  else if (op == "div")
    i.run = signedTypes<Divide>(t);
  else if (op == "rem")
    i.run = signedTypes<Remainder>(t);
  else if (op == "min")
    i.run = signedTypes<Binary<Min>::Of>(t);
  else if (op == "max")
    i.run = signedTypes<Binary<Max>::Of>(t);
  else if (op == "neg")
    i.run = signedTypes<Unary<Neg>::Of>(t);
  else if (op == "abs")
    i.run = t == Type::s32 ? unary<std::int32_t, Abs> : t == Type::s64 ? unary<std::int64_t, Abs> : nullptr;
  else if (op == "sad")
    i.run = signedTypes<Ternary<Sad>::Of>(t);
  return i.run != nullptr;
}

}  // namespace gpusim
