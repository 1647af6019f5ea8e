// Matrix products: bf16 with one matrix B through tiles where the processor has them, everything else through oneDNN.
#include "ops/matmul.h"
#include "cpu/amxMatmul.h"
#include "cpu/dnnl/gemm.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

using onednn::GemmShape;

std::int64_t batchOf(const View& v) {
  std::int64_t n = 1;
  for (int i = 0; i < v.rank - 2; i++) n *= v.dims[i];
  return n;
}

// Which matrix of an operand belongs to matrix `q` of the result: its leading axes broadcast.
std::int64_t matrixOf(const View& v, const View& c, std::int64_t q) {
  std::int64_t at = 0, step = 1;
  for (int i = 3; i <= v.rank; i++) {
    const std::int64_t index = q % c.back(i);
    q /= c.back(i);
    if (v.back(i) != 1) at += index * step;
    step *= v.back(i);
  }
  return at;
}

// Whether B is the same for all: the rows of all A's then are the rows of one product.
bool oneB(const MatmulArgs& s) { return batchOf(s.a) == batchOf(s.c) && batchOf(s.b) == 1 && !s.transA; }

// Calls product(shape, a, b, c) as few times as the layout allows: once where the matrices lie one behind the other in
// both operands, and once where B is the same for all.
template <class T, class Product>
void eachProduct(const MatmulArgs& s, const Product& product) {
  GemmShape shape;
  shape.rows = s.a.back(s.transA ? 1 : 2);
  shape.depth = s.a.back(s.transA ? 2 : 1);
  shape.columns = s.b.back(s.transB ? 2 : 1);
  shape.transA = s.transA;
  shape.transB = s.transB;
  const std::int64_t batch = batchOf(s.c), ofA = batchOf(s.a), ofB = batchOf(s.b);
  const T* a = s.a.as<T>();
  const T* b = s.b.as<T>();
  if (oneB(s)) {
    shape.rows *= batch;
    product(shape, a, b, 0);
  } else if (ofA == batch && ofB == batch) {
    shape.batch = batch;
    product(shape, a, b, 0);
  } else {
    const std::int64_t sizeA = shape.rows * shape.depth, sizeB = shape.depth * shape.columns;
    for (std::int64_t q = 0; q < batch; q++) {
      product(shape, a + matrixOf(s.a, s.c, q) * sizeA, b + matrixOf(s.b, s.c, q) * sizeB,
              q * shape.rows * shape.columns);
    }
  }
}

// A sum over nothing is zero, and what oneDNN does with an empty matrix is not worth finding out.
template <class T>
void withoutDepth(const MatmulArgs& s) {
  if (s.accumulate) return;
  const std::int64_t n = s.c.back(1), size = s.c.size();
  T* c = s.c.as<T>();
  for (std::int64_t i = 0; i < size; i++) c[i] = s.bias.present ? s.bias.as<T>()[i % n] : T{};
}

void multiply(const MatmulArgs& s) {
  float* c = s.c.as<float>();
  const float* bias = s.bias.present ? s.bias.as<float>() : nullptr;
  eachProduct<float>(s, [&](const GemmShape& shape, const float* a, const float* b, std::int64_t at) {
    onednn::gemm(shape, a, b, bias, c + at, s.accumulate);
  });
}

#ifdef SECATEUR_AMX
amx::Product tiles(const MatmulArgs& s) { return {s.c.size() / s.c.back(1), s.c.back(1), s.a.back(1), s.transB}; }

amx::Way wayOf(const MatmulArgs& s) {
  if (s.c.dtype != DType::bf16 || s.c.size() == 0 || !oneB(s)) return amx::Way::none;
  return amx::wayOf(tiles(s));
}
#endif

void multiplyLow(const MatmulArgs& s) {
  bf16* c = s.c.as<bf16>();
  float* bias = nullptr;
  if (s.bias.present) {
    bias = scratch<float>(s.bias.size());
    for (std::int64_t i = 0; i < s.bias.size(); i++) bias[i] = toFloat(s.bias.as<bf16>()[i]);
  }
#ifdef SECATEUR_AMX
  if (wayOf(s) != amx::Way::none)
    return amx::multiply(tiles(s), s.a.as<bf16>(), s.b.as<bf16>(), bias, c, s.accumulate, s.packed);
#endif
  if (!s.accumulate) {
    eachProduct<bf16>(s, [&](const GemmShape& shape, const bf16* a, const bf16* b, std::int64_t at) {
      onednn::gemm(shape, a, b, bias, c + at);
    });
    return;
  }
  // The sum with what is there is taken in f32 and rounded once.
  const std::int64_t size = s.c.size();
  auto* product = scratch<float>(size);
  eachProduct<bf16>(s, [&](const GemmShape& shape, const bf16* a, const bf16* b, std::int64_t at) {
    onednn::gemm(shape, a, b, bias, product + at);
  });
  parallelFor(size, parallelGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i++) c[i] = toBf16(product[i] + toFloat(c[i]));
  });
}

}  // namespace

KERNEL(matmul, F32 | BF16)(const MatmulArgs& s) {
  const bool low = s.c.dtype == DType::bf16;
  if (s.c.size() == 0) return;
  if (s.a.size() == 0) return low ? withoutDepth<bf16>(s) : withoutDepth<float>(s);
  if (low) {
    multiplyLow(s);
  } else {
    multiply(s);
  }
}

LAYOUT(matmul)(const MatmulArgs& s) {
#ifdef SECATEUR_AMX
  if (wayOf(s) == amx::Way::packed) return amx::layoutOf(tiles(s));
#else
  static_cast<void>(s);
#endif
  return {};
}

}  // namespace secateur::SECATEUR_ISA
