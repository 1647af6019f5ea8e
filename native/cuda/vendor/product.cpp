#include "vendor/product.h"

#include <algorithm>
#include <memory>
#include <string>

#include "api/cublasLt.h"
#include "core/error.h"
#include "host/launch.h"
#include "host/live.h"
#include "vendor/recent.h"

namespace secateur::cuda {

namespace {

// What Hopper's kernels want at most, by NVIDIA's advice.
constexpr std::size_t workspaceLimit = std::size_t{32} << 20;

const BlasLt& api() { return cublasLt().table; }

void checkBlas(int status, const char* what) {
  if (status == blasSuccess) return;
  throw Error("ERR_CUDA", "cuBLASLt " + cublasLt().library.version + ", " + what + ": " +
                              api().getStatusString(status) + " (" + std::to_string(status) +
                              "). SECATEUR_LIBCUBLASLT=none does without it.");
}

// An object of the library, freed with it.
template <class Raw>
using Owned = std::unique_ptr<std::remove_pointer_t<Raw>, int (*)(Raw)>;

Owned<BlasLtLayout> layout(int type, std::int64_t rows, std::int64_t columns, std::int64_t batch, std::int64_t stride) {
  BlasLtLayout raw = nullptr;
  checkBlas(api().layoutCreate(&raw, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), rows),
            "a layout");
  Owned<BlasLtLayout> owned(raw, api().layoutDestroy);
  const auto count = static_cast<std::int32_t>(batch);
  checkBlas(api().layoutSet(raw, layoutBatchCount, &count, sizeof(count)), "a batch");
  checkBlas(api().layoutSet(raw, layoutBatchStride, &stride, sizeof(stride)), "a batch's stride");
  return owned;
}

// The largest powers of two up to 256 that divide the addresses: which kernel is fastest depends on them.
struct Alignments {
  std::int64_t a, b, c, before;
};

// One product as cuBLASLt sees it. Its matrices are stored by columns, so that a row-major c = a b is its c^T = b^T
// a^T: b comes first, and a transposed operand is one that is not turned.
struct Product {
  explicit Product(const ProductShape& s)
      : description(nullptr, api().productDestroy),
        a(s.transA ? layout(typeOf(s), s.rows, s.depth, s.batch, s.strideA)
                   : layout(typeOf(s), s.depth, s.rows, s.batch, s.strideA)),
        b(s.transB ? layout(typeOf(s), s.depth, s.columns, s.batch, s.strideB)
                   : layout(typeOf(s), s.columns, s.depth, s.batch, s.strideB)),
        c(layout(typeOf(s), s.columns, s.rows, s.batch, s.rows * s.columns)) {
    BlasLtProduct raw = nullptr;
    // f32 sums; f32 factors stay f32: TF32 would be another compute type.
    checkBlas(api().productCreate(&raw, blasComputeF32, blasF32), "a product");
    description.reset(raw);
    const std::int32_t first = s.transB ? blasTransposed : blasAsIs, second = s.transA ? blasTransposed : blasAsIs;
    checkBlas(api().productSet(raw, productTransA, &first, sizeof(first)), "the first operand");
    checkBlas(api().productSet(raw, productTransB, &second, sizeof(second)), "the second operand");
    const std::uint32_t epilogue = s.geluTanh ? (s.keep ? (s.bias ? epilogueGeluAuxBias : epilogueGeluAux)
                                                        : (s.bias ? epilogueGeluBias : epilogueGelu))
                                   : s.bias   ? epilogueBias
                                              : epilogueDefault;
    checkBlas(api().productSet(raw, productEpilogue, &epilogue, sizeof(epilogue)), "what follows the sum");
    if (s.keep) checkBlas(api().productSet(raw, productAuxLeading, &s.columns, sizeof(s.columns)), "what is kept");
  }

  static int typeOf(const ProductShape& s) { return s.dtype == DType::bf16 ? blasBf16 : blasF32; }

  // Says where the bias is, and where what gelu is applied to goes: the library has these in the description.
  void point(const ProductShape& s, const ProductMemory& m) {
    if (s.bias) checkBlas(api().productSet(description.get(), productBiasPointer, &m.bias, sizeof(m.bias)), "the bias");
    if (s.keep)
      checkBlas(api().productSet(description.get(), productAuxPointer, &m.before, sizeof(m.before)), "what is kept");
  }

  // False when the library has no kernel for it.
  bool choose(BlasLtHandle handle, const Alignments& aligned) {
    BlasLtPreference raw = nullptr;
    checkBlas(api().preferenceCreate(&raw), "a preference");
    const Owned<BlasLtPreference> preference(raw, api().preferenceDestroy);
    const auto prefer = [&](int what, const auto& value) {
      checkBlas(api().preferenceSet(raw, what, &value, sizeof(value)), "a preference");
    };
    prefer(preferenceMaxWorkspace, std::uint64_t{workspaceLimit});
    // Sums split over blocks are added in a fixed order.
    prefer(preferenceReductionSchemes, std::uint32_t{reductionInComputeType});
    prefer(preferenceAlignmentA, static_cast<std::uint32_t>(aligned.b));
    prefer(preferenceAlignmentB, static_cast<std::uint32_t>(aligned.a));
    prefer(preferenceAlignmentC, static_cast<std::uint32_t>(aligned.c));
    prefer(preferenceAlignmentD, static_cast<std::uint32_t>(aligned.c));
    int found = 0;
    const int status =
        api().choose(handle, description.get(), b.get(), a.get(), c.get(), c.get(), raw, 1, &choice, &found);
    return status == blasSuccess && found == 1 && choice.status == blasSuccess;
  }

  Owned<BlasLtProduct> description;
  Owned<BlasLtLayout> a, b, c;
  BlasLtChoice choice{};
};

// Null when cuBLASLt is not there.
BlasLtHandle handle() {
  // Never destroyed, as the device.
  static const BlasLtHandle instance = [] {
    BlasLtHandle made = nullptr;
    if (cublasLt().library.available()) checkBlas(api().create(&made), "cublasLtCreate");
    return made;
  }();
  return instance;
}

// The largest power of two up to 256 that divides the address.
std::int64_t alignmentOf(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return static_cast<std::int64_t>(std::min<std::uintptr_t>(address & (~address + 1), 256));
}

}  // namespace

std::vector<std::int64_t> ProductShape::key() const {
  return {static_cast<std::int64_t>(dtype),
          rows,
          columns,
          depth,
          batch,
          strideA,
          strideB,
          std::int64_t{transA},
          std::int64_t{transB},
          std::int64_t{bias},
          std::int64_t{accumulate},
          std::int64_t{geluTanh},
          std::int64_t{keep}};
}

bool cublasLtAvailable() { return handle() != nullptr; }

bool cublasLtProduct(const ProductShape& s, const ProductMemory& m) {
  if (handle() == nullptr) return false;
  const Alignments aligned{alignmentOf(m.a), alignmentOf(m.b), alignmentOf(m.c), s.keep ? alignmentOf(m.before) : 0};
  // What is kept is read by lines of 16 bytes.
  if (s.keep && (s.columns % 8 != 0 || aligned.before < 16)) return false;
  std::vector<std::int64_t> key = s.key();
  key.insert(key.end(), {aligned.a, aligned.b, aligned.c, aligned.before});
  static auto& products = *new Recent<std::unique_ptr<Product>>(1000);
  const auto make = [&]() -> std::unique_ptr<Product> {
    auto made = std::make_unique<Product>(s);
    made->point(s, m);
    return made->choose(handle(), aligned) ? std::move(made) : nullptr;
  };
  Product* product = products.get(key, make).get();
  if (product == nullptr) return false;
  const std::size_t bytes = product->choice.workspaceBytes;
  void* workspace = bytes == 0 ? nullptr : scratchBytes(bytes);
  if (liveMode() == LiveMode::refresh) return true;
  product->point(s, m);
  const float one = 1.0f, beta = s.accumulate ? 1.0f : 0.0f;
  checkBlas(api().multiply(handle(), product->description.get(), &one, m.b, product->b.get(), m.a, product->a.get(),
                           &beta, m.c, product->c.get(), m.c, product->c.get(), &product->choice.algorithm, workspace,
                           bytes, stream()),
            "a product");
  return true;
}

}  // namespace secateur::cuda
