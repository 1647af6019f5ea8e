// The stand-in for cuBLASLt: keeps what was set, checks it as the header documents it, multiplies in plain loops.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/cublasLt.h"
#include "simulatedGpu.h"

namespace secateur::cuda {

struct cublasLtContext {};
struct cublasLtMatrixLayoutOpaque_t {
  int type;
  std::int64_t rows, columns, leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};
struct cublasLtMatmulDescOpaque_t {
  std::int32_t transA = blasAsIs, transB = blasAsIs;
  std::uint32_t epilogue = epilogueDefault;
  const void* bias = nullptr;
  void* aux = nullptr;
  std::int64_t auxLeading = 0;

  bool hasBias() const { return (epilogue & epilogueBias) != 0; }
  bool hasGelu() const { return (epilogue & epilogueGelu) != 0; }
  bool keeps() const { return epilogue == epilogueGeluAux || epilogue == epilogueGeluAuxBias; }
};
struct cublasLtMatmulPreferenceOpaque_t {
  std::uint64_t workspace = 0;
  std::uint32_t reductions = 7;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

}  // namespace secateur::cuda

using namespace secateur::cuda;

namespace {

using Layout = cublasLtMatrixLayoutOpaque_t;
using Description = cublasLtMatmulDescOpaque_t;

constexpr int invalidValue = 7;
constexpr std::uint64_t workspaceBytes = 2048;

int refuse(const char* why) {
  std::fprintf(stderr, "fake cuBLASLt: %s\n", why);
  return invalidValue;
}

// What an algorithm was chosen for; using it for something else is refused.
struct Choice {
  std::uint64_t hash, workspace;
  std::uint16_t alignment[4];
  std::uint64_t deterministic;
};
static_assert(sizeof(Choice) <= sizeof(BlasLtAlgorithm), "a choice fits into an algorithm");

std::uint64_t hashOf(const Description& d, const std::vector<const Layout*>& layouts) {
  std::string text = std::to_string(d.transA) + "," + std::to_string(d.transB) + "," + std::to_string(d.epilogue) +
                     "," + std::to_string(d.auxLeading);
  for (const Layout* l : layouts) {
    for (const std::int64_t n :
         {std::int64_t{l->type}, l->rows, l->columns, l->leading, std::int64_t{l->batch}, l->stride})
      text += "," + std::to_string(n);
  }
  return std::hash<std::string>{}(text);
}

const char* faultOf(const Description& d, const Layout& a, const Layout& b, const Layout& c) {
  for (const Layout* l : {&a, &b, &c})
    if (l->rows < 1 || l->columns < 1 || l->leading < l->rows || l->batch < 1) return "a layout with nothing in it";
  if (a.type != c.type || b.type != c.type) return "matrices of different types";
  if (a.batch != c.batch || b.batch != c.batch) return "batches of different sizes";
  const std::int64_t m = d.transA == blasAsIs ? a.rows : a.columns, k = d.transA == blasAsIs ? a.columns : a.rows;
  const std::int64_t kb = d.transB == blasAsIs ? b.rows : b.columns, n = d.transB == blasAsIs ? b.columns : b.rows;
  if (k != kb || m != c.rows || n != c.columns) return "extents do not fit";
  if (c.batch > 1 && c.stride < c.leading * c.columns) return "results overlap";
  bool known = false;
  for (const BlasLtValue e :
       {epilogueDefault, epilogueBias, epilogueGelu, epilogueGeluBias, epilogueGeluAux, epilogueGeluAuxBias})
    known = known || d.epilogue == static_cast<std::uint32_t>(e);
  if (!known) return "an epilogue that this stand-in does not know";
  if (d.keeps() && (d.auxLeading % 8 != 0 || d.auxLeading < c.rows || c.batch != 1))
    return "what is kept has lines of eighths that hold a column";
  if (d.keeps() && (d.aux == nullptr || reinterpret_cast<std::uintptr_t>(d.aux) % 16 != 0))
    return "what is kept is not aligned to 16 bytes";
  return nullptr;
}

std::size_t bytesOf(const Layout& l) {
  const std::int64_t one = l.leading * (l.columns - 1) + l.rows;
  return static_cast<std::size_t>((l.batch - 1) * l.stride + one) * (l.type == blasBf16 ? 2 : 4);
}

double geluTanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

struct Run {
  Description d;
  Layout a, b, c;
  const void *dataA, *dataB;
  void *data, *workspace;
  float alpha, beta;
  bool good;

  void operator()() const {
    const bool bf16 = c.type == blasBf16;
    if (workspace != nullptr) std::memset(workspace, 0xff, workspaceBytes);
    const std::int64_t depth = d.transA == blasAsIs ? a.columns : a.rows;
    for (std::int64_t q = 0; q < c.batch; q++)
      for (std::int64_t j = 0; j < c.columns; j++)
        for (std::int64_t i = 0; i < c.rows; i++) {
          double sum = 0;
          for (std::int64_t k = 0; k < depth; k++) {
            const std::int64_t ofA = d.transA == blasAsIs ? k * a.leading + i : i * a.leading + k;
            const std::int64_t ofB = d.transB == blasAsIs ? j * b.leading + k : k * b.leading + j;
            sum += double{fakes::load(dataA, bf16, q * a.stride + ofA)} * fakes::load(dataB, bf16, q * b.stride + ofB);
          }
          const std::int64_t at = q * c.stride + j * c.leading + i;
          double value = alpha * sum;
          // beta 0: what was there is not read, be it NaN.
          if (beta != 0) value += double{beta} * fakes::load(data, bf16, at);
          if (d.hasBias()) value += fakes::load(d.bias, bf16, i);
          if (d.keeps()) fakes::store(d.aux, bf16, j * d.auxLeading + i, static_cast<float>(value));
          if (d.hasGelu()) value = geluTanh(value);
          fakes::store(data, bf16, at, good ? static_cast<float>(value) : NAN);
        }
  }
};

template <class Value>
int take(Value& into, const void* value, std::size_t bytes) {
  if (bytes != sizeof(Value)) return refuse("an attribute of another size");
  std::memcpy(&into, value, bytes);
  return blasSuccess;
}

}  // namespace

#define CALL extern "C" __attribute__((visibility("default")))

CALL std::size_t cublasLtGetVersion() { return 130101; }
CALL const char* cublasLtGetStatusString(int status) {
  return status == blasSuccess ? "success" : "refused by the stand-in";
}
CALL int cublasLtCreate(BlasLtHandle* handle) {
  static auto& only = *new cublasLtContext();
  *handle = &only;
  return blasSuccess;
}
CALL int cublasLtMatrixLayoutCreate(BlasLtLayout* layout, int type, std::uint64_t rows, std::uint64_t columns,
                                    std::int64_t leading) {
  if (type != blasF32 && type != blasBf16) return refuse("this stand-in knows f32 and bf16");
  *layout = new Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), leading};
  return blasSuccess;
}
CALL int cublasLtMatrixLayoutDestroy(BlasLtLayout layout) {
  delete layout;
  return blasSuccess;
}
CALL int cublasLtMatrixLayoutSetAttribute(BlasLtLayout l, int attribute, const void* value, std::size_t bytes) {
  if (attribute == layoutBatchCount) return take(l->batch, value, bytes);
  if (attribute == layoutBatchStride) return take(l->stride, value, bytes);
  return refuse("an attribute of layouts that this stand-in does not know");
}
CALL int cublasLtMatmulDescCreate(BlasLtProduct* product, int compute, int scale) {
  if (compute != blasComputeF32 || scale != blasF32) return refuse("sums and factors are f32");
  *product = new Description();
  return blasSuccess;
}
CALL int cublasLtMatmulDescDestroy(BlasLtProduct product) {
  delete product;
  return blasSuccess;
}
CALL int cublasLtMatmulDescSetAttribute(BlasLtProduct d, int attribute, const void* value, std::size_t bytes) {
  if (attribute == productTransA) return take(d->transA, value, bytes);
  if (attribute == productTransB) return take(d->transB, value, bytes);
  if (attribute == productEpilogue) return take(d->epilogue, value, bytes);
  if (attribute == productBiasPointer) return take(d->bias, value, bytes);
  if (attribute == productAuxPointer) return take(d->aux, value, bytes);
  if (attribute == productAuxLeading) return take(d->auxLeading, value, bytes);
  return refuse("an attribute of products that this stand-in does not know");
}
CALL int cublasLtMatmulPreferenceCreate(BlasLtPreference* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t();
  return blasSuccess;
}
CALL int cublasLtMatmulPreferenceDestroy(BlasLtPreference preference) {
  delete preference;
  return blasSuccess;
}
CALL int cublasLtMatmulPreferenceSetAttribute(BlasLtPreference p, int attribute, const void* value, std::size_t bytes) {
  if (attribute == preferenceMaxWorkspace) return take(p->workspace, value, bytes);
  if (attribute == preferenceReductionSchemes) return take(p->reductions, value, bytes);
  if (attribute >= preferenceAlignmentA && attribute <= preferenceAlignmentD)
    return take(p->alignment[attribute - preferenceAlignmentA], value, bytes);
  return refuse("an attribute of preferences that this stand-in does not know");
}
CALL int cublasLtMatmulAlgoGetHeuristic(BlasLtHandle, BlasLtProduct d, BlasLtLayout a, BlasLtLayout b, BlasLtLayout c,
                                        BlasLtLayout result, BlasLtPreference p, int wanted, BlasLtChoice* choices,
                                        int* found) {
  if (wanted < 1) return refuse("no algorithm is wanted");
  if (const char* fault = faultOf(*d, *a, *b, *c)) return refuse(fault);
  Choice choice{hashOf(*d, {a, b, c, result}), std::min(p->workspace, workspaceBytes), {}, (p->reductions & 1) == 0};
  for (int i = 0; i < 4; i++) {
    if ((p->alignment[i] & (p->alignment[i] - 1)) != 0) return refuse("an alignment that is no power of two");
    choice.alignment[i] = static_cast<std::uint16_t>(p->alignment[i]);
  }
  *choices = BlasLtChoice{};
  std::memcpy(&choices->algorithm, &choice, sizeof(choice));
  choices->workspaceBytes = choice.workspace;
  *found = 1;
  return blasSuccess;
}
CALL int cublasLtMatmul(BlasLtHandle handle, BlasLtProduct d, const void* alpha, const void* dataA, BlasLtLayout a,
                        const void* dataB, BlasLtLayout b, const void* beta, const void* dataC, BlasLtLayout c,
                        void* data, BlasLtLayout result, const BlasLtAlgorithm* algorithm, void* workspace,
                        std::size_t bytes, CUstream stream) {
  if (handle == nullptr || algorithm == nullptr) return refuse("no handle, or no algorithm");
  Choice choice{};
  std::memcpy(&choice, algorithm, sizeof(choice));
  if (choice.hash != hashOf(*d, {a, b, c, result})) return refuse("the algorithm was chosen for another product");
  if (bytes < choice.workspace) return refuse("the workspace is smaller than the algorithm wants");
  if (choice.workspace > 0 &&
      (reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0 || !fakes::onDevice(workspace, bytes)))
    return refuse("the workspace is misaligned or not on the device");
  const std::pair<const void*, const Layout*> operands[] = {{dataA, a}, {dataB, b}, {dataC, c}, {data, result}};
  for (int i = 0; i < 4; i++) {
    if (reinterpret_cast<std::uintptr_t>(operands[i].first) % choice.alignment[i] != 0)
      return refuse("a matrix is aligned to less than was promised");
    if (!fakes::onDevice(operands[i].first, bytesOf(*operands[i].second)))
      return refuse("a matrix is not on the device");
  }
  if (dataC != data) return refuse("this stand-in works in place");
  const std::size_t element = c->type == blasBf16 ? 2 : 4;
  if (d->hasBias() && !fakes::onDevice(d->bias, static_cast<std::size_t>(c->rows) * element))
    return refuse("the bias is not on the device");
  const auto kept = static_cast<std::size_t>(d->auxLeading * (c->columns - 1) + c->rows);
  if (d->keeps() && !fakes::onDevice(d->aux, kept * element)) return refuse("what is kept is not on the device");
  const Run run{*d,
                *a,
                *b,
                *c,
                dataA,
                dataB,
                data,
                choice.workspace > 0 ? workspace : nullptr,
                *static_cast<const float*>(alpha),
                *static_cast<const float*>(beta),
                choice.deterministic != 0};
  return fakes::queue(stream, run) ? blasSuccess : refuse("the stream does not take it");
}
