#include "vendor/matmul.h"

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

// One product as cuBLASLt sees it. Its matrices are stored by columns, so that a row-major c = a b is its c^T = b^T
// a^T: b comes first, and a transposed operand is one that is not turned.
struct Shape {
  DType dtype = DType::f32;
  std::int64_t rows = 0, columns = 0, depth = 0, batch = 1;
  std::int64_t strideA = 0, strideB = 0;  // from matrix to matrix; 0 when all share one
  bool transA = false, transB = false, bias = false, accumulate = false;
  std::int64_t alignA = 0, alignB = 0, alignC = 0;

  std::vector<std::int64_t> key() const {
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
            alignA,
            alignB,
            alignC};
  }
};

struct Product {
  explicit Product(const Shape& s)
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
    if (s.bias) {
      const std::uint32_t epilogue = epilogueBias;
      checkBlas(api().productSet(raw, productEpilogue, &epilogue, sizeof(epilogue)), "the bias");
    }
  }

  static int typeOf(const Shape& s) { return s.dtype == DType::bf16 ? blasBf16 : blasF32; }

  // False when the library has no kernel for it.
  bool choose(BlasLtHandle handle, const Shape& s) {
    BlasLtPreference raw = nullptr;
    checkBlas(api().preferenceCreate(&raw), "a preference");
    const Owned<BlasLtPreference> preference(raw, api().preferenceDestroy);
    const auto prefer = [&](int what, const auto& value) {
      checkBlas(api().preferenceSet(raw, what, &value, sizeof(value)), "a preference");
    };
    prefer(preferenceMaxWorkspace, std::uint64_t{workspaceLimit});
    // Sums split over blocks are added in a fixed order.
    prefer(preferenceReductionSchemes, std::uint32_t{reductionInComputeType});
    prefer(preferenceAlignmentA, static_cast<std::uint32_t>(s.alignB));
    prefer(preferenceAlignmentB, static_cast<std::uint32_t>(s.alignA));
    prefer(preferenceAlignmentC, static_cast<std::uint32_t>(s.alignC));
    prefer(preferenceAlignmentD, static_cast<std::uint32_t>(s.alignC));
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

std::int64_t matricesOf(const View& v) {
  std::int64_t n = 1;
  for (int i = 0; i < v.rank - 2; i++) n *= v.dims[i];
  return n;
}

// The largest power of two up to 256 that divides the address.
std::int64_t alignmentOf(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return static_cast<std::int64_t>(std::min<std::uintptr_t>(address & (~address + 1), 256));
}

// False for batches that broadcast along some axes only, and for products with nothing to add up.
bool shapeOf(const MatmulArgs& a, Shape& s) {
  s.dtype = a.c.dtype;
  s.rows = a.c.back(2);
  s.columns = a.c.back(1);
  s.depth = a.a.back(a.transA ? 2 : 1);
  s.batch = matricesOf(a.c);
  s.transA = a.transA;
  s.transB = a.transB;
  s.bias = a.bias.present;
  s.accumulate = a.accumulate;
  s.alignA = alignmentOf(a.a.data);
  s.alignB = alignmentOf(a.b.data);
  s.alignC = alignmentOf(a.c.data);
  const std::int64_t ofA = matricesOf(a.a), ofB = matricesOf(a.b);
  if (a.c.size() == 0 || s.depth == 0) return false;
  if ((ofA != s.batch && ofA != 1) || (ofB != s.batch && ofB != 1)) return false;
  if (ofB == 1 && !s.transA && ofA == s.batch) {
    // The rows of all a's are the rows of one.
    s.rows *= s.batch;
    s.batch = 1;
  }
  s.strideA = ofA == 1 ? 0 : s.rows * s.depth;
  s.strideB = ofB == 1 ? 0 : s.depth * s.columns;
  return true;
}

}  // namespace

bool cublasLtMatmul(const MatmulArgs& a) {
  Shape s;
  if (handle() == nullptr || !shapeOf(a, s)) return false;
  static auto& products = *new Recent<std::unique_ptr<Product>>(1000);
  const Product* product = products
                               .get(s.key(),
                                    [&]() -> std::unique_ptr<Product> {
                                      auto made = std::make_unique<Product>(s);
                                      return made->choose(handle(), s) ? std::move(made) : nullptr;
                                    })
                               .get();
  if (product == nullptr) return false;
  const std::size_t bytes = product->choice.workspaceBytes;
  void* workspace = bytes == 0 ? nullptr : scratchBytes(bytes);
  if (liveMode() == LiveMode::refresh) return true;
  if (s.bias) {
    checkBlas(api().productSet(product->description.get(), productBiasPointer, &a.bias.data, sizeof(a.bias.data)),
              "the bias");
  }
  const float one = 1.0f, beta = s.accumulate ? 1.0f : 0.0f;
  checkBlas(api().multiply(handle(), product->description.get(), &one, a.b.data, product->b.get(), a.a.data,
                           product->a.get(), &beta, a.c.data, product->c.get(), a.c.data, product->c.get(),
                           &product->choice.algorithm, workspace, bytes, stream()),
            "a product");
  return true;
}

}  // namespace secateur::cuda
