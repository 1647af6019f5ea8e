#include "cpu/dnnl/gemm.h"

#include <omp.h>

#include <map>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "cpu/dnnl/engine.h"

namespace secateur::onednn {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using DataType = memory::data_type;

void check(dnnl_status_t status) {
  if (status != dnnl_success) throw dnnl::error(status, "sgemm");
}

struct Plan {
  bool supported = false;
  dnnl::matmul primitive;
  memory a, b, bias, c, scratchpad;
};

memory::desc matrix(std::int64_t batch, std::int64_t rows, std::int64_t columns, bool transposed, DataType type) {
  return memory::desc(Dims{batch, rows, columns}, type,
                      transposed ? Dims{rows * columns, 1, rows} : Dims{rows * columns, columns, 1});
}

Plan make(const GemmShape& s, DataType result, bool bias) {
  const memory::desc a = matrix(s.batch, s.rows, s.depth, s.transA, DataType::bf16);
  const memory::desc b = matrix(s.batch, s.depth, s.columns, s.transB, DataType::bf16);
  const memory::desc c = matrix(s.batch, s.rows, s.columns, false, result);
  const memory::desc shift =
      bias ? memory::desc(Dims{1, 1, s.columns}, DataType::f32, memory::format_tag::abc) : memory::desc();
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  Plan plan;
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc descriptor(engine(), a, b, shift, c, attributes);
#else
    const dnnl::matmul::desc wanted = bias ? dnnl::matmul::desc(a, b, shift, c) : dnnl::matmul::desc(a, b, c);
    const dnnl::matmul::primitive_desc descriptor(wanted, attributes, engine());
#endif
    plan.primitive = dnnl::matmul(descriptor);
    plan.a = memory(a, engine(), nullptr);
    plan.b = memory(b, engine(), nullptr);
    plan.c = memory(c, engine(), nullptr);
    plan.bias = memory(shift, engine(), nullptr);
    plan.scratchpad = memory(descriptor.scratchpad_desc(), engine(), nullptr);
    plan.supported = true;
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented) throw;
  }
  return plan;
}

Plan& planFor(const GemmShape& s, DataType result, bool bias) {
  static std::map<std::vector<std::int64_t>, Plan> plans;
  if (plans.size() >= 1024) plans.clear();
  const std::vector<std::int64_t> key{
      s.rows, s.columns, s.depth, s.transA, s.transB, s.batch, static_cast<int>(result), bias, omp_get_max_threads()};
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(key, make(s, result, bias)).first->second;
}

void point(memory& to, const void* data) { to.set_data_handle(const_cast<void*>(data)); }

float* floats(Slot slot, std::int64_t n) {
  return static_cast<float*>(workspace(slot, static_cast<std::size_t>(n) * sizeof(float)));
}

}  // namespace

void sgemm(bool transA, bool transB, std::int64_t rows, std::int64_t columns, std::int64_t depth, float alpha,
           const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (rows == 0 || columns == 0) return;
  check(dnnl_sgemm(transA ? 'T' : 'N', transB ? 'T' : 'N', rows, columns, depth, alpha, a, lda, b, ldb, beta, c, ldc));
}

void gemm(const GemmShape& s, const float* a, const float* b, const float* bias, float* c, bool accumulate) {
  const std::int64_t sizeA = s.rows * s.depth, sizeB = s.depth * s.columns, sizeC = s.rows * s.columns;
  if (bias != nullptr) {
#pragma omp parallel for schedule(static) if (s.batch * sizeC > 32768)
    for (std::int64_t row = 0; row < s.batch * s.rows; row++)
      for (std::int64_t j = 0; j < s.columns; j++)
        c[row * s.columns + j] = bias[j] + (accumulate ? c[row * s.columns + j] : 0.0f);
  }
  const float beta = accumulate || bias != nullptr ? 1.0f : 0.0f;
  const auto one = [&](std::int64_t i) {
    sgemm(s.transA, s.transB, s.rows, s.columns, s.depth, 1, a + i * sizeA, s.transA ? s.rows : s.depth, b + i * sizeB,
          s.transB ? s.depth : s.columns, beta, c + i * sizeC, s.columns);
  };
  if (s.batch < omp_get_max_threads()) {
    for (std::int64_t i = 0; i < s.batch; i++) one(i);
    return;
  }
  // Inside a parallel region oneDNN works on the calling thread alone. An exception must not leave the region.
  bool failed = false;
#pragma omp parallel for schedule(static) reduction(|| : failed)
  for (std::int64_t i = 0; i < s.batch; i++) {
    try {
      one(i);
    } catch (const dnnl::error&) {
      failed = true;
    }
  }
  if (failed) check(dnnl_runtime_error);
}

template <class C>
void gemm(const GemmShape& s, const bf16* a, const bf16* b, const float* bias, C* c) {
  const std::int64_t sizeA = s.rows * s.depth, sizeB = s.depth * s.columns, sizeC = s.rows * s.columns;
  Plan& plan = planFor(s, dataType<C>(), bias != nullptr);
  if (!plan.supported) {
    float* wideA = floats(Slot::first, s.batch * sizeA);
    float* wideB = floats(Slot::second, s.batch * sizeB);
    widen(a, wideA, s.batch * sizeA);
    widen(b, wideB, s.batch * sizeB);
    if constexpr (std::is_same_v<C, float>) return gemm(s, wideA, wideB, bias, c, false);
    float* wide = floats(Slot::third, s.batch * sizeC);
    gemm(s, wideA, wideB, bias, wide, false);
    if constexpr (!std::is_same_v<C, float>) return narrow(wide, c, s.batch * sizeC);
  }
  point(plan.a, a);
  point(plan.b, b);
  point(plan.c, c);
  point(plan.scratchpad, workspace(Slot::scratchpad, plan.scratchpad.get_desc().get_size()));
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, plan.a},
                                            {DNNL_ARG_WEIGHTS, plan.b},
                                            {DNNL_ARG_DST, plan.c},
                                            {DNNL_ARG_SCRATCHPAD, plan.scratchpad}};
  if (bias != nullptr) {
    point(plan.bias, bias);
    arguments.emplace(DNNL_ARG_BIAS, plan.bias);
  }
  plan.primitive.execute(stream(), arguments);
  stream().wait();
}

template void gemm<float>(const GemmShape&, const bf16*, const bf16*, const float*, float*);
template void gemm<bf16>(const GemmShape&, const bf16*, const bf16*, const float*, bf16*);

}  // namespace secateur::onednn
