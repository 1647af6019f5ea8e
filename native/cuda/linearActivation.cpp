#include "linearActivation.h"

#include "host/pointwise.h"
#include "host/product.h"
#include "ops/linearActivation.h"
#include "relu.h"
#include "vendor/linearActivation.h"

CUDA_IMAGE(linearActivation)
CUDA_IMAGE(gelu)
CUDA_IMAGE(relu)

namespace secateur::cuda {

namespace {

// A product and what follows it; `sum` adds up pieces, null where the ordinary kernel does.
struct Linear {
  Kernels large, small;
  Kernels* sum;
};

template <class Args>
void product(Linear& kernels, const Args& a, ProductOutput out) {
  const DType dtype = a.y.dtype;
  const std::int64_t columns = a.weight.dims[0], depth = a.weight.dims[1], rows = a.y.size() / columns;
  const ProductPlan plan = planProduct(dtype, 1, rows, columns, depth);
  out.c = a.y.data;
  out.bias = a.bias.present ? a.bias.data : nullptr;
  out.partial = partialResults(plan, 1);
  out.rowStride = columns;
  const LinearParams p{plan.grid,
                       out,
                       a.x.data,
                       a.weight.data,
                       readsPacked(dtype, a.x.data, depth),
                       readsPacked(dtype, a.weight.data, depth)};
  launch((plan.large ? kernels.large : kernels.small)[dtype], plan.blocks, plan.threads, p);
  sumPieces(dtype, plan, out, 1, kernels.sum);
}

}  // namespace

KERNEL(linearGelu, F32 | BF16)(const LinearGeluArgs& a) {
  static Kernels exactAlone(images::gelu, "gelu"), tanhAlone(images::gelu, "geluTanh");
  static Kernels exactSum(images::linearActivation, "linearGeluSum");
  static Kernels tanhSum(images::linearActivation, "linearGeluTanhSum");
  static Linear exact{
      {images::linearActivation, "linearGeluLarge"}, {images::linearActivation, "linearGeluSmall"}, &exactSum};
  static Linear byTanh{
      {images::linearActivation, "linearGeluTanhLarge"}, {images::linearActivation, "linearGeluTanhSmall"}, &tanhSum};
  if (a.y.size() == 0) return;
  const bool tanh = a.approximate == LinearGeluArgs::Approximate::tanh;
  if (tanh && cublasLtLinearGeluTanh(a)) return;
  const View& before = a.z.present ? a.z : a.y;
  if (cublasLtLinear(a.x, a.weight, a.bias, before))
    return launchUnary((tanh ? tanhAlone : exactAlone)[a.y.dtype], before, a.y);
  ProductOutput out;
  out.before = a.z.present ? a.z.data : nullptr;
  product(tanh ? byTanh : exact, a, out);
}

KERNEL(linearRelu, F32 | BF16)(const LinearReluArgs& a) {
  static Kernels alone(images::relu, "relu");
  static Linear fused{
      {images::linearActivation, "linearReluLarge"}, {images::linearActivation, "linearReluSmall"}, nullptr};
  if (a.y.size() == 0) return;
  // Not with cuBLASLt's relu: it is max(x, 0), and nothing says that it lets NaN pass.
  if (cublasLtLinear(a.x, a.weight, a.bias, a.y))
    return launch(alone[a.y.dtype], elementBlocks(a.y.size()), 256, ReluParams{a.y.data, a.y.data, a.y.size()});
  ProductOutput out;
  out.relu = true;
  product(fused, a, out);
}

}  // namespace secateur::cuda
