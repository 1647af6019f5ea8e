// One value in every element.
#pragma once
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

template <class T>
SECATEUR_INLINE void setAll(T* y, std::int64_t n, T value) {
  parallelFor(n, parallelGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i++) y[i] = value;
  });
}

SECATEUR_INLINE void setAll(const View& y, double value) {
  switch (y.dtype) {
    case DType::f32:
      return setAll(y.as<float>(), y.size(), static_cast<float>(value));
    case DType::bf16:
      return setAll(y.as<bf16>(), y.size(), toBf16(static_cast<float>(value)));
    case DType::i32:
      return setAll(y.as<std::int32_t>(), y.size(), static_cast<std::int32_t>(value));
    case DType::u8:
      return setAll(y.as<std::uint8_t>(), y.size(), static_cast<std::uint8_t>(value));
  }
}

}  // namespace secateur::SECATEUR_ISA
