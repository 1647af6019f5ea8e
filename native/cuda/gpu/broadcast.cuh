// Pointwise functions of two or three operands that broadcast: packs where all have the same elements, and one by one
// through the index space otherwise.
#pragma once
#include "gpu/element.cuh"
#include "gpu/strided.h"

namespace secateur::cuda {

template <class A, class B, class Out, class F>
SECATEUR_GPU void broadcast2(const Strided& s, bool same, const A* a, const B* b, Out* y, F f) {
  constexpr int widest = sizeof(A) > sizeof(Out) ? sizeof(A) : sizeof(Out);
  if (same) return mapStored<16 / widest>(s.n, y, f, a, b);
  for (std::int64_t i = threadIndex(); i < s.n; i += threadTotal()) {
    const auto o = offsetsOf<2>(s, i);
    y[i] = f(a[o.at[0]], b[o.at[1]]);
  }
}

template <class A, class B, class C, class Out, class F>
SECATEUR_GPU void broadcast3(const Strided& s, bool same, const A* a, const B* b, const C* c, Out* y, F f) {
  constexpr int widest = sizeof(B) > sizeof(Out) ? sizeof(B) : sizeof(Out);
  if (same) return mapStored<16 / widest>(s.n, y, f, a, b, c);
  for (std::int64_t i = threadIndex(); i < s.n; i += threadTotal()) {
    const auto o = offsetsOf<3>(s, i);
    y[i] = f(a[o.at[0]], b[o.at[1]], c[o.at[2]]);
  }
}

}  // namespace secateur::cuda
