// Chapter 10: conversions between types, with their roundings.
#include <cfenv>
#include <cmath>
#include <limits>

#include "lanewise.h"
#include "numbers.h"

namespace gpusim {

namespace {

enum Rounding : std::uint8_t { none, nearest, zero, down, up };  // rn/rni, rz/rzi, rm/rmi, rp/rpi
constexpr std::uint8_t saturates = 8;
constexpr std::uint8_t flushes = 16;
constexpr std::uint8_t clampsNegative = 32;  // .relu

double rounded(double x, std::uint8_t how) {
  switch (how) {
    case nearest:
      return std::nearbyint(x);
    case zero:
      return std::trunc(x);
    case down:
      return std::floor(x);
    case up:
      return std::ceil(x);
    default:
      return x;
  }
}

double readFloat(std::uint64_t x, Type t) {
  switch (t) {
    case Type::f32:
      return as<float>(x);
    case Type::f64:
      return as<double>(x);
    case Type::bf16:
      return fromBf16(static_cast<std::uint16_t>(x));
    default:
      return fromF16(static_cast<std::uint16_t>(x));
  }
}

float toFloat(double x, std::uint8_t how) {
  const auto near = static_cast<float>(x);
  if (how != zero || std::isnan(x) || static_cast<double>(near) == x) return near;
  return std::fabs(static_cast<double>(near)) > std::fabs(x) ? std::nextafter(near, 0.0f) : near;
}

std::int64_t readInteger(std::uint64_t x, Type t) {
  switch (t) {
    case Type::s8:
      return as<std::int8_t>(x);
    case Type::s16:
      return as<std::int16_t>(x);
    case Type::s32:
      return as<std::int32_t>(x);
    case Type::u8:
    case Type::b8:
      return as<std::uint8_t>(x);
    case Type::u16:
    case Type::b16:
      return as<std::uint16_t>(x);
    case Type::u32:
    case Type::b32:
      return as<std::uint32_t>(x);
    default:
      return static_cast<std::int64_t>(x);
  }
}

// Limits of an integer type as doubles, and the value clamped into them; NaN gives 0.
std::uint64_t clampToInteger(double x, Type t) {
  if (x != x) return 0;
  const int width = bytesOf(t) * 8;
  if (isSigned(t)) {
    const double high = std::ldexp(1.0, width - 1);
    if (x >= high) return width == 64 ? 0x7fffffffffffffffull : (1ull << (width - 1)) - 1;
    if (x < -high) x = -high;
    const auto value = static_cast<std::int64_t>(x);
    return width == 64 ? static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value) & ((1ull << width) - 1);
  }
  if (x <= 0) return 0;
  if (x >= std::ldexp(1.0, width)) return width == 64 ? ~0ull : (1ull << width) - 1;
  return static_cast<std::uint64_t>(x);
}

std::uint64_t convertOne(std::uint64_t x, const Instruction& i) {
  const Type to = i.type;
  const Type from = i.from;
  const std::uint8_t how = i.flags & 7;
  if (!isFloat(from) && !isFloat(to)) {
    const std::int64_t value = readInteger(x, from);
    const int width = bytesOf(to) * 8;
    if ((i.flags & saturates) != 0) {
      const bool huge = !isSigned(from) && value < 0;  // above 2^63
      return huge ? clampToInteger(1.9e19, to) : clampToInteger(static_cast<double>(value), to);
    }
    return width == 64 ? static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value) & ((1ull << width) - 1);
  }
  if (!isFloat(from)) {
    const std::int64_t value = readInteger(x, from);
    const bool large = from == Type::u64 && value < 0;
    if (to == Type::f32)
      return bits(large         ? static_cast<float>(x)
                  : how == zero ? toFloat(static_cast<double>(value), zero)
                                : static_cast<float>(value));
    const double d = large ? static_cast<double>(x) : static_cast<double>(value);
    if (to == Type::f64) return bits(d);
    return to == Type::bf16 ? toBf16(static_cast<float>(d)) : toF16(static_cast<float>(d));
  }
  double value = readFloat(x, from);
  if ((i.flags & flushes) != 0 && std::fabs(value) < 1.1754943508222875e-38) value = std::copysign(0.0, value);
  if (!isFloat(to)) return clampToInteger(rounded(value, how == 0 ? std::uint8_t{zero} : how), to);
  if (from == to) {
    // cvt.rni.f32.f32: to a whole number.
    const double r = rounded(value, how);
    const double s = (i.flags & saturates) == 0 ? r : r != r ? 0.0 : r < 0 ? 0.0 : r > 1 ? 1.0 : r;
    return to == Type::f32 ? bits(static_cast<float>(s)) : bits(s);
  }
  if ((i.flags & saturates) != 0) value = value != value ? 0.0 : value < 0 ? 0.0 : value > 1 ? 1.0 : value;
  if ((i.flags & clampsNegative) != 0 && value < 0) value = 0;
  switch (to) {
    case Type::f32:
      return bits(toFloat(value, how));
    case Type::f64:
      return bits(value);
    case Type::bf16:
      return how == zero ? static_cast<std::uint64_t>(bits(static_cast<float>(value)) >> 16)
                         : toBf16(static_cast<float>(value));
    default:
      return toF16(static_cast<float>(value));
  }
}

void convert(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [&](int l) { y[l] = convertOne(x[l], i); });
}

// The common ones, fast.
void widenU32(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = x[l] & 0xffffffffu; });
}
void widenS32(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) {
    y[l] = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(x[l])));
  });
}
void toBf16Fast(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* x = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = toBf16(as<float>(x[l])); });
}

// cvt.rn.bf16x2.f32 d, a, b: a in the upper half.
void packHalves(Warp& w, const Instruction& i, std::uint32_t mask) {
  const bool bf = i.type == Type::bf16x2;
  eachLane(mask, [&](int l) {
    const auto half = [&](int s) {
      float x = as<float>(w.row(i.src[s])[l]);
      if ((i.flags & clampsNegative) != 0 && x < 0) x = 0;
      return static_cast<std::uint64_t>(bf ? toBf16(x) : toF16(x));
    };
    w.row(i.dst[0])[l] = half(0) << 16 | half(1);
  });
}

}  // namespace

bool conversionFamily(const Words& words, Instruction& i) {
  if (words[0] != "cvt") return false;
  i.kind = Class::conversion;
  for (const std::string& word : words) {
    if (word == "rn" || word == "rni") i.flags |= nearest;
    if (word == "rz" || word == "rzi") i.flags |= zero;
    if (word == "rm" || word == "rmi") i.flags |= down;
    if (word == "rp" || word == "rpi") i.flags |= up;
    if (word == "sat") i.flags |= saturates;
    if (word == "ftz") i.flags |= flushes;
    if (word == "relu") i.flags |= clampsNegative;
  }
  if (i.type == Type::bf16x2 || i.type == Type::f16x2) {
    i.run = packHalves;
    return i.srcs == 2;
  }
  if (i.from == Type::none) i.from = i.type;  // both types are one word
  if (i.type == Type::u64 && i.from == Type::u32)
    i.run = widenU32;
  else if (i.type == Type::s64 && i.from == Type::s32)
    i.run = widenS32;
  else if (i.type == Type::bf16 && i.from == Type::f32 && i.flags == nearest)
    i.run = toBf16Fast;
  else
    i.run = convert;
  return true;
}

}  // namespace gpusim
