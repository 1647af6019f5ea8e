// Handlers that do the same in every lane: a function of one, two or three operands of a type.
#pragma once
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

#define GPUSIM_FUNCTOR(name, ...) \
  struct name {                   \
    template <class T>            \
    auto operator()(__VA_ARGS__) const

}  // namespace gpusim
