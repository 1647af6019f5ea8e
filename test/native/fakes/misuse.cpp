// Wrong uses of cuDNN and cuBLASLt, one after the other: prints, for each, whether the stand-in refused it. Among them
// right uses, which it must take.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "api/cublasLt.h"
#include "api/driver.h"
#include "core/error.h"
#include "vendor/plan.h"

namespace {

using namespace secateur::cuda;
using namespace secateur::cuda::dnn;

void expect(const char* what, bool refused, const std::function<void()>& use) {
  bool threw = false;
  try {
    use();
  } catch (const secateur::Error&) {
    threw = true;
  } catch (const Unsupported&) {
    threw = true;
  }
  std::printf("%s %s: %s\n", threw == refused ? "ok" : "WRONG", what, threw ? "refused" : "taken");
}

ConvolutionShape convolution() {
  ConvolutionShape s;
  s.images = 2, s.height = 5, s.width = 5, s.channels = 8;
  s.outHeight = 5, s.outWidth = 5, s.outChannels = 16;
  s.kernelHeight = 3, s.kernelWidth = 3;
  s.padding[0] = s.padding[1] = 1;
  return s;
}

Descriptor tensor(const std::vector<std::int64_t>& strides, std::int64_t alignment) {
  Descriptor d(DnnDescriptorType::tensor);
  d.set(DnnAttribute::tensorNumber, std::int64_t{1})
      .set(DnnAttribute::tensorType, DnnDataType::f32)
      .set(DnnAttribute::tensorDimensions, std::vector<std::int64_t>{2, 3, 4, 5})
      .set(DnnAttribute::tensorStrides, strides)
      .set(DnnAttribute::tensorAlignment, alignment)
      .finalize("a tensor");
  return d;
}

// Memory on the simulated device.
char* allocate(std::size_t bytes) {
  CUdeviceptr data = 0;
  check(driver().memoryAllocate(&data, bytes), "memory");
  return reinterpret_cast<char*>(data);
}

void descriptors() {
  const std::vector<std::int64_t> strides{60, 20, 5, 1};
  expect("a tensor", false, [&] { tensor(strides, 16); });
  expect("a tensor with too few strides", true, [&] { tensor({60, 20, 5}, 16); });
  expect("a tensor with a stride of 0", true, [&] { tensor({60, 20, 5, 0}, 16); });
  expect("an alignment of 12", true, [&] { tensor(strides, 12); });
  expect("a tensor without a type", true, [] {
    Descriptor(DnnDescriptorType::tensor).set(DnnAttribute::tensorNumber, std::int64_t{1}).finalize("a tensor");
  });
  expect("setting what is finalized", true,
         [&] { tensor(strides, 16).set(DnnAttribute::tensorAlignment, std::int64_t{32}); });
  expect("finalizing twice", true, [&] { tensor(strides, 16).finalize("a tensor"); });
  expect("an attribute of another type", true,
         [] { Descriptor(DnnDescriptorType::tensor).set(DnnAttribute::pointwiseMode, DnnPointwiseMode::add); });
  expect("a value of another kind", true,
         [] { Descriptor(DnnDescriptorType::tensor).set(DnnAttribute::tensorAlignment, 16.0f); });
  expect("a descriptor that is not finalized", true, [] {
    const Descriptor raw(DnnDescriptorType::tensor);
    Descriptor(DnnDescriptorType::convolutionForward).set(DnnAttribute::forwardX, raw);
  });
  expect("a descriptor of another type", true, [&] {
    Descriptor(DnnDescriptorType::convolutionForward).set(DnnAttribute::forwardConvolution, tensor(strides, 16));
  });
}

void graphs() {
  expect("a convolution", false, [] { Graph{convolution()}; });
  const auto wrong = [](const char* what, void (*spoil)(ConvolutionShape&)) {
    ConvolutionShape s = convolution();
    spoil(s);
    for (const Direction direction : {Direction::forward, Direction::gradInput, Direction::gradWeight}) {
      s.direction = direction;
      expect(what, true, [&] { Graph{s}; });
    }
  };
  wrong("a result too wide", [](ConvolutionShape& s) { s.outWidth = 6; });
  wrong("groups that do not divide the result's channels",
        [](ConvolutionShape& s) { s.groups = 8, s.outChannels = 12; });
  wrong("a stride of 0", [](ConvolutionShape& s) { s.stride[1] = 0; });
  wrong("no images", [](ConvolutionShape& s) { s.images = 0; });
  const auto follows = [](const char* what, bool bias, bool relu) {
    ConvolutionShape s = convolution();
    s.bias = bias, s.relu = relu;
    expect(what, false, [&] { Graph{s}; });
  };
  follows("a convolution with a bias", true, false);
  follows("a convolution with a bias and relu", true, true);
  expect("a pointwise mode nobody uses", true, [] {
    Descriptor(DnnDescriptorType::pointwise)
        .set(DnnAttribute::pointwiseMode, static_cast<DnnPointwiseMode>(2))
        .set(DnnAttribute::pointwisePrecision, DnnDataType::f32)
        .finalize("a minimum");
  });
  expect("batch norm", false, [] { Graph{BatchNormShape{false, secateur::DType::bf16, 2, 5, 5, 8}}; });
  expect("batch norm's gradients", false, [] { Graph{BatchNormShape{true, secateur::DType::f32, 2, 5, 5, 8}}; });
  expect("batch norm of no images", true, [] { Graph{BatchNormShape{false, secateur::DType::f32, 0, 5, 5, 8}}; });
  expect("batch norm without its tensors", true, [] {
    Descriptor(DnnDescriptorType::norm)
        .set(DnnAttribute::normMode, DnnNorm::batch)
        .set(DnnAttribute::normPhase, DnnNormPhase::training)
        .finalize("batch norm");
  });
  expect("places along no axis", true, [] {
    Descriptor(DnnDescriptorType::pointwise)
        .set(DnnAttribute::pointwiseMode, DnnPointwiseMode::placeAlong)
        .set(DnnAttribute::pointwisePrecision, DnnDataType::i32)
        .finalize("places");
  });
  expect("a comparison in f32", true, [] {
    Descriptor(DnnDescriptorType::pointwise)
        .set(DnnAttribute::pointwiseMode, DnnPointwiseMode::notBelow)
        .set(DnnAttribute::pointwisePrecision, DnnDataType::f32)
        .finalize("a comparison");
  });
  for (const bool causal : {false, true})
    for (const bool bias : {false, true})
      for (const bool gradient : {false, true}) {
        const std::string name = std::string(causal ? "causal attention" : "attention") + (bias ? " with a bias" : "") +
                                 (gradient ? ", its gradient" : "");
        const auto graph = [=](std::int64_t width) {
          return [=] { Graph{AttentionShape{2, 3, 5, 7, width, causal, bias, gradient}}; };
        };
        expect(name.c_str(), false, graph(16));
        expect((name + ", 12 wide").c_str(), true, graph(12));
      }
}

void plans() {
  DnnHandle handle = nullptr;
  check(cudnn().table.create(&handle), "a handle");
  const Target target(handle);
  const Graph graph(convolution());
  const Plan exact(graph, target, {true, false}), winograd(graph, target, {true, true});
  std::printf("%s engines that do not keep the rules are passed over\n",
              exact.workspaceBytes() == 1000 && winograd.workspaceBytes() == 4096 ? "ok" : "WRONG");
  const std::size_t bytesX = 2 * 5 * 5 * 8 * 4, bytesW = 16 * 3 * 3 * 8 * 4, bytesY = 2 * 5 * 5 * 16 * 4;
  char *x = allocate(bytesX), *w = allocate(bytesW), *y = allocate(bytesY), *workspace = allocate(1000);
  char *small = allocate(999), *large = allocate(bytesX + 16);
  std::vector<char> host(bytesX + 16);
  const auto run = [&](const char* what, bool refused, const void* useX, const void* useY, void* useWorkspace) {
    expect(what, refused, [&] { exact.run(handle, {{numberX, useX}, {numberW, w}, {numberY, useY}}, useWorkspace); });
  };
  run("a plan", false, x, y, workspace);
  run("a plan with a small workspace", true, x, y, small);
  run("a plan with no workspace", true, x, y, nullptr);
  run("memory of the host", true, host.data(), y, workspace);
  run("memory off by 4 bytes", true, large + 4, y, workspace);
  run("memory that ends too early", true, large + 32, y, workspace);
  run("a result that is nowhere", true, x, nullptr, workspace);
  expect("a tensor left out", true, [&] { exact.run(handle, {{numberX, x}, {numberW, w}}, workspace); });
  expect("a tensor too many", true, [&] {
    exact.run(handle, {{numberX, x}, {numberW, w}, {numberY, y}, {numberBias, x}}, workspace);
  });
}

void products() {
  const BlasLt& blas = cublasLt().table;
  const auto must = [](int status) {
    if (status != blasSuccess) throw secateur::Error("ERR_CUDA", "refused");
  };
  BlasLtHandle handle = nullptr;
  must(blas.create(&handle));
  // 8 x 4 times 4 x 6, by columns.
  const auto multiply = [&](std::int64_t depthB, const void* a, std::size_t workspaceBytes, std::uint32_t alignment,
                            std::uint32_t epilogue = epilogueDefault, std::int64_t auxLeading = 0,
                            void* aux = nullptr) {
    BlasLtLayout la = nullptr, lb = nullptr, lc = nullptr;
    must(blas.layoutCreate(&la, blasF32, 8, 4, 8));
    must(blas.layoutCreate(&lb, blasF32, static_cast<std::uint64_t>(depthB), 6, depthB));
    must(blas.layoutCreate(&lc, blasF32, 8, 6, 8));
    BlasLtProduct product = nullptr;
    must(blas.productCreate(&product, blasComputeF32, blasF32));
    must(blas.productSet(product, productEpilogue, &epilogue, sizeof(epilogue)));
    must(blas.productSet(product, productAuxLeading, &auxLeading, sizeof(auxLeading)));
    must(blas.productSet(product, productAuxPointer, &aux, sizeof(aux)));
    BlasLtPreference preference = nullptr;
    must(blas.preferenceCreate(&preference));
    const std::uint64_t most = 4096;
    must(blas.preferenceSet(preference, preferenceMaxWorkspace, &most, sizeof(most)));
    must(blas.preferenceSet(preference, preferenceAlignmentA, &alignment, sizeof(alignment)));
    BlasLtChoice choice{};
    int found = 0;
    must(blas.choose(handle, product, la, lb, lc, lc, preference, 1, &choice, &found));
    static void* const b = allocate(4 * 6 * 4);
    static void* const c = allocate(8 * 6 * 4);
    static void* const workspace = allocate(4096);
    const float one = 1, zero = 0;
    must(blas.multiply(handle, product, &one, a, la, b, lb, &zero, c, lc, c, lc, &choice.algorithm, workspace,
                       workspaceBytes, nullptr));
  };
  char* a = allocate(8 * 4 * 4 + 4);
  std::vector<char> host(8 * 4 * 4);
  expect("a product", false, [&] { multiply(4, a, 2048, 16); });
  expect("a product whose depths differ", true, [&] { multiply(5, a, 2048, 16); });
  expect("a product with a small workspace", true, [&] { multiply(4, a, 1024, 16); });
  expect("a matrix less aligned than promised", true, [&] { multiply(4, a + 4, 2048, 16); });
  expect("an alignment that is no power of two", true, [&] { multiply(4, a, 2048, 12); });
  expect("a matrix on the host", true, [&] { multiply(4, host.data(), 2048, 4); });
  char* kept = allocate(8 * 6 * 4);
  expect("a product with gelu", false, [&] { multiply(4, a, 2048, 16, epilogueGelu); });
  expect("gelu's argument kept", false, [&] { multiply(4, a, 2048, 16, epilogueGeluAux, 8, kept); });
  expect("a bias that was not given", true, [&] { multiply(4, a, 2048, 16, epilogueGeluBias); });
  expect("gelu's argument kept nowhere", true, [&] { multiply(4, a, 2048, 16, epilogueGeluAux, 8); });
  expect("gelu's argument in lines too short", true, [&] { multiply(4, a, 2048, 16, epilogueGeluAux, 4, kept); });
  expect("gelu's argument in memory too small", true, [&] { multiply(4, a, 2048, 16, epilogueGeluAux, 16, kept); });
  expect("an unknown epilogue", true, [&] { multiply(4, a, 2048, 16, 2); });
  expect("an attribute of another size", true, [&] {
    BlasLtPreference preference = nullptr;
    must(blas.preferenceCreate(&preference));
    const std::uint32_t most = 4096;
    must(blas.preferenceSet(preference, preferenceMaxWorkspace, &most, sizeof(most)));
  });
}

}  // namespace

int main() {
  CUcontext context = nullptr;
  check(driver().primaryContextRetain(&context, 0), "context");
  check(driver().contextSetCurrent(context), "context");
  if (!cudnn().library.available()) {
    std::printf("WRONG %s\n", cudnn().library.reason.c_str());
    return 1;
  }
  descriptors();
  graphs();
  plans();
  products();
}
