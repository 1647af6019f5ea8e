// Handlers that do the same in every lane: a function of one, two or three operands of a type.
#pragma once
#include <type_traits>

#include "machine.h"

namespace gpusim {

// Registers narrower than 64 bits hold their value in the low bits and zeros above.
template <class T, class F>
void unary(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* a = w.row(i.src[0]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = bits(F{}(as<T>(a[l]))); });
}
template <class T, class F>
void binary(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* a = w.row(i.src[0]);
  const std::uint64_t* b = w.row(i.src[1]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = bits(F{}(as<T>(a[l]), as<T>(b[l]))); });
}
template <class T, class F>
void ternary(Warp& w, const Instruction& i, std::uint32_t mask) {
  const std::uint64_t* a = w.row(i.src[0]);
  const std::uint64_t* b = w.row(i.src[1]);
  const std::uint64_t* c = w.row(i.src[2]);
  std::uint64_t* y = w.row(i.dst[0]);
  eachLane(mask, [=](int l) { y[l] = bits(F{}(as<T>(a[l]), as<T>(b[l]), as<T>(c[l]))); });
}

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// The handler for an integer type, by a maker that gives one for each.
template <template <class> class Maker>
Handler signedTypes(Type t) {
  switch (t) {
    case Type::u16:
    case Type::b16:
      return Maker<std::uint16_t>::make();
    case Type::s16:
      return Maker<std::int16_t>::make();
    case Type::u32:
    case Type::b32:
      return Maker<std::uint32_t>::make();
    case Type::s32:
      return Maker<std::int32_t>::make();
    case Type::u64:
    case Type::b64:
      return Maker<std::uint64_t>::make();
    case Type::s64:
      return Maker<std::int64_t>::make();
    case Type::pred:
    case Type::b8:
    case Type::u8:
      return Maker<std::uint8_t>::make();
    default:
      return nullptr;
  }
}

template <class F>
struct Unary {
  template <class T>
  struct Of {
    static Handler make() { return unary<T, F>; }
  };
};
template <class F>
struct Binary {
  template <class T>
  struct Of {
    static Handler make() { return binary<T, F>; }
  };
};
template <class F>
struct Ternary {
  template <class T>
  struct Of {
    static Handler make() { return ternary<T, F>; }
  };
};
}  // namespace gpusim
