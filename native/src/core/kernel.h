// How a kernel says that it exists.
//
//   #include "ops/relu.h"
//   KERNEL(relu, F32 | BF16)(const ReluArgs& a) { ... }
//
// and, where the kernel reads a weight in an order of its own, which:
//
//   LAYOUT(matmul)(const MatmulArgs& a) { return {bytes, ...}; }
//
// That one is asked on JavaScript's thread, before the call is queued.
//
// A record is constant data in a linker section, so registering runs no code: a file compiled for AVX-512 must not
// execute anything on a machine without it, not even a static initialiser.
#pragma once
#include <cstdint>

#include "core/layout.h"
#include "core/view.h"

namespace secateur {

enum : std::uint32_t { F32 = 1, BF16 = 2, I32 = 4, U8 = 8, ANY = 15 };

// `baseline` files are compiled once and choose instructions at run time themselves (oneDNN).
enum class Isa : std::uint32_t { baseline, avx2, avx512, cuda };

using KernelEntry = void (*)(const void* args);

// The alignment fills the record to its size, so that the section is an array without gaps.
struct alignas(32) KernelRecord {
  const char* op;
  Isa isa;
  std::uint32_t dtypes;
  KernelEntry entry;
};
using LayoutEntry = Layout (*)(const void* args);

struct alignas(32) LayoutRecord {
  const char* op;
  Isa isa;
  LayoutEntry entry;
};
static_assert(sizeof(LayoutRecord) == 32, "the linker section is read as an array");
static_assert(sizeof(KernelRecord) == 32, "the linker section is read as an array");

// Scratch memory for the op being run, freed when it ends. Uninitialised, 64-byte aligned; only on the queue's thread
// and outside parallel regions.
void* scratchBytes(std::size_t bytes);
template <class T>
SECATEUR_ALWAYS_INLINE T* scratch(std::int64_t n) {
  return static_cast<T*>(scratchBytes(static_cast<std::size_t>(n) * sizeof(T)));
}

// Threads a parallel region may use.
int threadCount();

}  // namespace secateur

#ifndef SECATEUR_ISA
#define SECATEUR_ISA baseline
#endif

#define KERNEL(op, types)                                                                                            \
  static void op##Kernel(const ops::op::Args&);                                                                      \
  static void op##Entry(const void* args) { op##Kernel(*static_cast<const ops::op::Args*>(args)); }                  \
  __attribute__((section("secateur_kernels"), used)) static const KernelRecord op##Record = {#op, Isa::SECATEUR_ISA, \
                                                                                             types, &op##Entry};     \
  static void op##Kernel

#define LAYOUT(op)                                                                                                 \
  static Layout op##Layout(const ops::op::Args&);                                                                  \
  static Layout op##LayoutEntry(const void* args) { return op##Layout(*static_cast<const ops::op::Args*>(args)); } \
  __attribute__((section("secateur_layouts"), used)) static const LayoutRecord op##LayoutRecord = {                \
      #op, Isa::SECATEUR_ISA, &op##LayoutEntry};                                                                   \
  static Layout op##Layout
