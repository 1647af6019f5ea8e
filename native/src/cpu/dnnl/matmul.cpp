// Matrix products through oneDNN, which chooses its instructions itself: compiled once.
#include <dnnl.h>

#include "core/error.h"
#include "core/kernel.h"
#include "cpu/vecmath.h"
#include "ops/matmul.h"

namespace secateur {

namespace {

// c[m, n] (+)= op(a) op(b), row-major, f32.
void sgemm(bool transA, bool transB, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
           bool accumulate, float* c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) {
      for (std::int64_t i = 0; i < m * n; i++) c[i] = 0;
    }
    return;
  }
  const dnnl_status_t status = dnnl_sgemm(transA ? 'T' : 'N', transB ? 'T' : 'N', m, n, k, 1.0f, a, transA ? m : k, b,
                                          transB ? k : n, accumulate ? 1.0f : 0.0f, c, n);
  if (status != dnnl_success) fail("oneDNN's sgemm refused this shape.");
}

}  // namespace

KERNEL(matmul, F32 | BF16)(const MatmulArgs& s) {
  const std::int64_t m = s.a.back(s.transA ? 1 : 2);
  const std::int64_t k = s.a.back(s.transA ? 2 : 1);
  const std::int64_t n = s.b.back(s.transB ? 2 : 1);
  std::int64_t batch = 1;
  for (int i = 0; i < s.c.rank - 2; i++) batch *= s.c.dims[i];
  const bool low = s.c.dtype == DType::bf16;
  // bf16 operands are widened to f32, and the product rounded once.
  const auto widened = [&](const View& v) {
    if (!low) return static_cast<const float*>(v.data);
    auto* wide = scratch<float>(v.size());
    const auto* from = v.as<bf16>();
    for (std::int64_t i = 0; i < v.size(); i++) wide[i] = baseline::toFloat(from[i]);
    return static_cast<const float*>(wide);
  };
  const float* a = widened(s.a);
  const float* b = widened(s.b);
  const float* bias = s.bias.present ? widened(s.bias) : nullptr;
  float* c = low ? scratch<float>(s.c.size()) : s.c.as<float>();
  if (low && s.accumulate) {
    for (std::int64_t i = 0; i < s.c.size(); i++) c[i] = baseline::toFloat(s.c.as<bf16>()[i]);
  }
  for (std::int64_t q = 0; q < batch; q++) {
    std::int64_t rest = q, atA = 0, atB = 0, stepA = 1, stepB = 1;
    for (int i = 3; i <= s.c.rank; i++) {
      const std::int64_t extent = s.c.back(i);
      const std::int64_t index = rest % extent;
      rest /= extent;
      if (i <= s.a.rank) {
        if (s.a.back(i) != 1) atA += index * stepA;
        stepA *= s.a.back(i);
      }
      if (i <= s.b.rank) {
        if (s.b.back(i) != 1) atB += index * stepB;
        stepB *= s.b.back(i);
      }
    }
    sgemm(s.transA, s.transB, m, n, k, a + atA * m * k, b + atB * k * n, s.accumulate, c + q * m * n);
  }
  if (bias != nullptr) {
    for (std::int64_t i = 0; i < batch * m; i++) {
      for (std::int64_t j = 0; j < n; j++) c[i * n + j] += bias[j];
    }
  }
  if (low) {
    for (std::int64_t i = 0; i < s.c.size(); i++) s.c.as<bf16>()[i] = baseline::toBf16(c[i]);
  }
}

}  // namespace secateur
