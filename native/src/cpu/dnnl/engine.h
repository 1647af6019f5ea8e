// What all oneDNN primitives share: the engine, the stream, memory for their scratchpads, and two conversions.
// Used on the queue's thread only; nothing here is locked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <dnnl.hpp>

#include "core/bf16.h"

namespace secateur::onednn {

const dnnl::engine& engine();
dnnl::stream& stream();

/// At least `bytes` of memory, 64-byte aligned, valid until the next call with the same slot; it keeps what it has
/// grown to. A slot each for scratchpads, packed weights, and the f32 copies made where the processor has no bf16.
enum class Slot { scratchpad, weights, first, second, third };
void* workspace(Slot slot, std::size_t bytes);

template <class T>
constexpr dnnl::memory::data_type dataType();
template <>
constexpr dnnl::memory::data_type dataType<float>() {
  return dnnl::memory::data_type::f32;
}
template <>
constexpr dnnl::memory::data_type dataType<bf16>() {
  return dnnl::memory::data_type::bf16;
}

void widen(const bf16* from, float* to, std::int64_t n);
/// Rounds to nearest, ties to even; NaN stays NaN.
void narrow(const float* from, bf16* to, std::int64_t n);

}  // namespace secateur::onednn
