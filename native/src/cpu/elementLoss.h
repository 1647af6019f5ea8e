// Losses that are a sum over elements: each element's value, or the sum or mean of all.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

// value(i) is element i's loss. Sums are in double, a chunk at a time, in the order of the chunks.
template <class Value>
SECATEUR_INLINE void elementLoss(std::int64_t n, bool each, bool mean, float* loss, const Value& value) {
  if (each) {
    parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; i++) loss[i] = value(i);
    });
    return;
  }
  const std::int64_t chunks = (n + parallelGrain - 1) / parallelGrain;
  auto* partial = scratch<double>(chunks);
  parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; i++) sum += static_cast<double>(value(i));
    partial[begin / parallelGrain] = sum;
  });
  double total = 0;
  for (std::int64_t c = 0; c < chunks; c++) total += partial[c];
  *loss = static_cast<float>(mean ? total / static_cast<double>(n) : total);
}

}  // namespace secateur::SECATEUR_ISA
