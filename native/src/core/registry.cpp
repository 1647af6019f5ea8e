#include "core/registry.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "ops_generated.h"

// Bounds of the sections that KERNEL and LAYOUT write to, provided by the linker.
extern "C" {
extern const secateur::KernelRecord __start_secateur_kernels[];
extern const secateur::KernelRecord __stop_secateur_kernels[];
extern const secateur::LayoutRecord __start_secateur_layouts[];
extern const secateur::LayoutRecord __stop_secateur_layouts[];
}

namespace secateur {

namespace {

bool runs(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    case Isa::avx512:
      return runs(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512cd");
    case Isa::cuda:
      return false;  // its kernels are in a library of their own
  }
  return false;
}

Isa choose() {
  Isa best = runs(Isa::avx512) ? Isa::avx512 : runs(Isa::avx2) ? Isa::avx2 : Isa::baseline;
  const char* cap = std::getenv("SECATEUR_ISA");
  if (cap != nullptr && std::strcmp(cap, "avx2") == 0) best = std::min(best, Isa::avx2);
  return best;
}

Isa chosen() {
  static const Isa isa = choose();
  return isa;
}

constexpr const char* names[] = {
#define SECATEUR_OP_NAME(name) #name,
    SECATEUR_OPS(SECATEUR_OP_NAME)
#undef SECATEUR_OP_NAME
};
constexpr std::size_t count = sizeof(names) / sizeof(names[0]);

// For each op the record of the largest instruction set that the machine has.
template <class Record>
using Table = std::array<const Record*, count>;

template <class Record>
Table<Record> buildTable(const Record* begin, const Record* end) {
  Table<Record> table{};
  for (const Record* k = begin; k != end; k++) {
    for (std::size_t at = 0; at < count; at++) {
      if (std::strcmp(names[at], k->op) != 0 || k->isa > chosen()) continue;
      if (table[at] == nullptr || k->isa >= table[at]->isa) table[at] = k;
    }
  }
  return table;
}

std::atomic<int> threads{0};

}  // namespace

const KernelRecord* kernelsBegin() { return __start_secateur_kernels; }
const KernelRecord* kernelsEnd() { return __stop_secateur_kernels; }

const std::uint32_t opCount = count;

const char* opName(std::uint32_t op) { return names[op]; }

KernelEntry kernelOf(std::uint32_t op) {
  static const Table<KernelRecord> table = buildTable(kernelsBegin(), kernelsEnd());
  return table[op] == nullptr ? nullptr : table[op]->entry;
}

LayoutEntry layoutOf(std::uint32_t op) {
  static const Table<LayoutRecord> table = buildTable(__start_secateur_layouts, __stop_secateur_layouts);
  return table[op] == nullptr ? nullptr : table[op]->entry;
}

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::cuda:
      return "cuda";
    default:
      return "baseline";
  }
}

std::vector<std::string> availableIsas() {
  std::vector<std::string> isas;
  for (const Isa isa : {Isa::avx2, Isa::avx512}) {
    if (runs(isa)) isas.emplace_back(isaName(isa));
  }
  return isas;
}

std::string isaInUse() { return isaName(chosen()); }

int threadCount() {
  const int n = threads.load(std::memory_order_relaxed);
  return n > 0 ? n : omp_get_max_threads();
}

void setThreadCount(int n) { threads.store(n, std::memory_order_relaxed); }

}  // namespace secateur
