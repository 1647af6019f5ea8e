// Chapter 9: floating-point numbers. IEEE where PTX says so; the approximations (ex2, lg2, rcp, rsqrt, sin, cos, tanh)
// are the nearest float, moved by up to two units in the last place when SECATEUR_GPUSIM_PERTURB=1.
#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "lanewise.h"

namespace gpusim {

namespace {

enum Flag : std::uint8_t { flushes = 1, saturates = 2, propagatesNan = 4 };

float flushed(float x, std::uint8_t flags) {
  return (flags & flushes) != 0 && std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}
double flushed(double x, std::uint8_t) { return x; }
template <class T>
T finish(T x, std::uint8_t flags) {
  x = flushed(x, flags);
  if ((flags & saturates) != 0) x = x != x ? T{0} : x < T{0} ? T{0} : x > T{1} ? T{1} : x;
  return x;
}

float perturbed(float x, Warp& w) {
  static const char* const setting = std::getenv("SECATEUR_GPUSIM_PERTURB");
  static const bool on = setting != nullptr && *setting == '1';
  if (!on || !std::isfinite(x) || x == 0) return x;
  const int ulps = static_cast<int>(w.block->launch->random() % 5) - 2;
  const float towards = std::copysign(ulps < 0 ? 0.0f : std::numeric_limits<float>::infinity(), x);
  for (int n = 0; n < std::abs(ulps); n++) x = std::nextafter(x, towards);
  return x;
}

template <class T, class F>
void floats(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* s[3] = {w.row(i.src[0]), w.row(i.src[i.srcs > 1 ? 1 : 0]), w.row(i.src[i.srcs > 2 ? 2 : 0])};
  std::uint64_t* y = w.row(i.dst[0]);
  const std::uint8_t flags = i.flags;
  if (flags == 0) {
    eachLane(mask, [=](int l) { y[l] = bits<T>(F{}(as<T>(s[0][l]), as<T>(s[1][l]), as<T>(s[2][l]))); });
  } else {
    eachLane(mask, [=](int l) {
      const auto in = [&](int k) { return flushed(as<T>(s[k][l]), flags); };
      y[l] = bits<T>(finish<T>(F{}(in(0), in(1), in(2)), flags));
    });
  }
}

template <class F>
void approximate(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const float x = flushed(as<float>(w.row(i.src[0])[l]), i.flags);
    const float other = i.srcs > 1 ? flushed(as<float>(w.row(i.src[1])[l]), i.flags) : 0;
    const auto y = static_cast<float>(F{}(static_cast<double>(x), static_cast<double>(other)));
    w.row(i.dst[0])[l] = bits(finish(perturbed(y, w), i.flags));
  });
}

struct Add {
  template <class T>
  T operator()(T a, T b, T) const {
    return a + b;
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b, T) const {
    return a - b;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b, T) const {
    return a * b;
  }
};
struct Div {
  template <class T>
  T operator()(T a, T b, T) const {
    return a / b;
  }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    return std::fma(a, b, c);
  }
};
struct Neg {
  template <class T>
  T operator()(T a, T, T) const {
    return -a;
  }
};
struct Abs {
  template <class T>
  T operator()(T a, T, T) const {
    return std::fabs(a);
  }
};
struct Sqrt {
  template <class T>
  T operator()(T a, T, T) const {
    return std::sqrt(a);
  }
};
struct Rcp {
  template <class T>
  T operator()(T a, T, T) const {
    return T{1} / a;
  }
};
struct CopySign {
  template <class T>
  T operator()(T a, T b, T) const {
    return std::copysign(b, a);
  }
};
template <class T>
bool below(T a, T b) {
  return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}
struct Min {
  template <class T>
  T operator()(T a, T b, T) const {
    return a != a ? b : b != b ? a : below(b, a) ? b : a;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b, T) const {
    return a != a ? b : b != b ? a : below(a, b) ? b : a;
  }
};
struct MinNan {
  template <class T>
  T operator()(T a, T b, T c) const {
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : Min{}(a, b, c);
  }
};
struct MaxNan {
  template <class T>
  T operator()(T a, T b, T c) const {
    return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : Max{}(a, b, c);
  }
};

struct Exp2 {
  double operator()(double x, double) const { return std::exp2(x); }
};
struct Log2 {
  double operator()(double x, double) const { return std::log2(x); }
};
struct Reciprocal {
  double operator()(double x, double) const { return 1 / x; }
};
struct RootReciprocal {
  double operator()(double x, double) const { return 1 / std::sqrt(x); }
};
struct Root {
  double operator()(double x, double) const { return std::sqrt(x); }
};
struct Sine {
  double operator()(double x, double) const { return std::sin(x); }
};
struct Cosine {
  double operator()(double x, double) const { return std::cos(x); }
};
struct Tangent {
  double operator()(double x, double) const { return std::tanh(x); }
};
struct Quotient {
  double operator()(double x, double y) const { return x / y; }
};

enum Compare : std::uint8_t { eq, ne, lt, le, gt, ge, equ, neu, ltu, leu, gtu, geu, num, nan };

template <class T>
bool holds(std::int64_t how, T a, T b) {
  const bool unordered = a != a || b != b;
  switch (how) {
    case eq:
      return a == b;
    case ne:
      return !unordered && a != b;
    case lt:
      return a < b;
    case le:
      return a <= b;
    case gt:
      return a > b;
    case ge:
      return a >= b;
    case equ:
      return unordered || a == b;
    case neu:
      return unordered || a != b;
    case ltu:
      return unordered || a < b;
    case leu:
      return unordered || a <= b;
    case gtu:
      return unordered || a > b;
    case geu:
      return unordered || a >= b;
    case num:
      return !unordered;
    default:
      return unordered;
  }
}

// setp: immediate is the comparison plus 16 times how a third operand is combined (1 and, 2 or, 3 xor).
template <class T>
void setPredicate(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::int64_t how = i.immediate % 16;
  const std::int64_t joined = i.immediate / 16;
  eachLane(mask, [&](int l) {
    const bool r =
        holds<T>(how, flushed(as<T>(w.row(i.src[0])[l]), i.flags), flushed(as<T>(w.row(i.src[1])[l]), i.flags));
    const bool third = i.srcs > 2 && (w.row(i.src[2])[l] & 1) != 0;
    const auto with = [&](bool v) {
      return joined == 1 ? v && third : joined == 2 ? v || third : joined == 3 ? v != third : v;
    };
    if (i.dst[0] != noRow) w.row(i.dst[0])[l] = with(r) ? 1 : 0;
    if (i.dsts > 1 && i.dst[1] != noRow) w.row(i.dst[1])[l] = with(!r) ? 1 : 0;
  });
}

// set: the same comparison as all ones or zeros, or as 1.0.
template <class T>
void setValue(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const bool r = holds<T>(i.immediate % 16, as<T>(w.row(i.src[0])[l]), as<T>(w.row(i.src[1])[l]));
    w.row(i.dst[0])[l] = !r ? 0 : i.type == Type::f32 ? bits(1.0f) : 0xffffffffu;
  });
}

// Arithmetic that rounds towards zero, down or up: `immediate` is the host's name for the direction. The operands pass
// through volatile, so that no compiler computes ahead of the change of direction.
template <class F>
void directedFloats(Warp& w, const Instruction& i, std::uint32_t mask) {
  const int before = std::fegetround();
  std::fesetround(static_cast<int>(i.immediate));
  eachLane(mask, [&](int l) {
    const auto in = [&](int k) { return as<float>(w.row(i.src[k < i.srcs ? k : 0])[l]); };
    volatile float a = in(0), b = in(1), c = in(2);
    volatile float y = F{}(static_cast<float>(a), static_cast<float>(b), static_cast<float>(c));
    w.row(i.dst[0])[l] = bits(finish(static_cast<float>(y), i.flags));
  });
  std::fesetround(before);
}

bool directed(const Words& words, Instruction& i) {
  if (i.type != Type::f32) return false;
  i.immediate = has(words, "rz") ? FE_TOWARDZERO : has(words, "rm") ? FE_DOWNWARD : FE_UPWARD;
  const std::string& op = words[0];
  i.run = op == "add"   ? directedFloats<Add>
          : op == "sub" ? directedFloats<Sub>
          : op == "mul" ? directedFloats<Mul>
          : op == "fma" ? directedFloats<Fma>
          : op == "div" ? directedFloats<Div>
                        : nullptr;
  return i.run != nullptr;
}

bool comparison(const Words& words, Instruction& i) {
  static const char* names[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
  for (int k = 0; k < 14; k++) {
    if (words[1] != names[k]) continue;
    i.immediate = k + 16 * (has(words, "and") ? 1 : has(words, "or") ? 2 : has(words, "xor") ? 3 : 0);
    return true;
  }
  return false;
}

// 0 finite, 1 infinite, 2 number, 3 not a number, 4 normal, 5 subnormal
void testValue(Warp& w, const Instruction& i, std::uint32_t mask) {
  eachLane(mask, [&](int l) {
    const float x = as<float>(w.row(i.src[0])[l]);
    const int c = std::fpclassify(x);
    const bool r = i.immediate == 0   ? std::isfinite(x)
                   : i.immediate == 1 ? std::isinf(x)
                   : i.immediate == 2 ? !std::isnan(x)
                   : i.immediate == 3 ? std::isnan(x)
                   : i.immediate == 4 ? c == FP_NORMAL
                                      : c == FP_SUBNORMAL;
    w.row(i.dst[0])[l] = r ? 1 : 0;
  });
}

template <class F>
Handler exact(Type t) {
  return t == Type::f32 ? floats<float, F> : t == Type::f64 ? floats<double, F> : nullptr;
}

}  // namespace

bool floatFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  if (op == "testp") {
    static const char* names[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
    for (int k = 0; k < 6; k++) {
      if (words[1] == names[k]) i.immediate = k;
    }
    i.run = testValue;
    return true;
  }
  if (op == "set" && i.from != Type::none && isFloat(i.from)) {
    if (!comparison(words, i) || i.srcs > 2) return false;
    i.run = i.from == Type::f32 ? setValue<float> : nullptr;
    return i.run != nullptr;
  }
  if ((i.type != Type::f32 && i.type != Type::f64) || op == "mov" || op == "selp") return false;
  i.kind = Class::floating;
  i.flags = static_cast<std::uint8_t>((has(words, "ftz") ? flushes : 0) | (has(words, "sat") ? saturates : 0));
  const bool toNearest = !has(words, "rz") && !has(words, "rm") && !has(words, "rp");
  if (!toNearest) return directed(words, i);
  const bool approx = has(words, "approx") || has(words, "full");
  const bool wantsNan = has(words, "NaN");
  const Type t = i.type;
  if (op == "add")
    i.run = exact<Add>(t);
  else if (op == "sub")
    i.run = exact<Sub>(t);
  else if (op == "mul")
    i.run = exact<Mul>(t);
  else if (op == "fma" || op == "mad")
    i.run = exact<Fma>(t);
  else if (op == "neg")
    i.run = exact<Neg>(t);
  else if (op == "abs")
    i.run = exact<Abs>(t);
  else if (op == "min")
    i.run = wantsNan ? exact<MinNan>(t) : exact<Min>(t);
  else if (op == "max")
    i.run = wantsNan ? exact<MaxNan>(t) : exact<Max>(t);
  else if (op == "copysign")
    i.run = exact<CopySign>(t);
  else if (op == "div")
    i.run = approx ? approximate<Quotient> : exact<Div>(t);
  else if (op == "sqrt")
    i.run = approx ? approximate<Root> : exact<Sqrt>(t);
  else if (op == "rcp")
    i.run = approx ? (t == Type::f32 ? approximate<Reciprocal> : nullptr) : exact<Rcp>(t);
  else if (op == "setp") {
    i.run = !comparison(words, i) ? nullptr : t == Type::f32 ? setPredicate<float> : setPredicate<double>;
  } else if (t == Type::f32) {
    if (op == "ex2")
      i.run = approximate<Exp2>;
    else if (op == "lg2")
      i.run = approximate<Log2>;
    else if (op == "rsqrt")
      i.run = approximate<RootReciprocal>;
    else if (op == "sin")
      i.run = approximate<Sine>;
    else if (op == "cos")
      i.run = approximate<Cosine>;
    else if (op == "tanh")
      i.run = approximate<Tangent>;
  }
  if (approx || op == "ex2" || op == "lg2" || op == "rsqrt" || op == "sin" || op == "cos" || op == "tanh")
    i.kind = Class::special;
  return i.run != nullptr;
}

}  // namespace gpusim
