#pragma once
#include <cstdint>

namespace secateur {

// The upper half of an IEEE float32: same exponent range, 8 bits of precision. Storage only; the conversions are in
// cpu/vecmath.h, because they must be compiled per instruction set.
struct bf16 {
  std::uint16_t bits;
};

static_assert(sizeof(bf16) == 2, "bf16 is two bytes in every buffer and file");

}  // namespace secateur
