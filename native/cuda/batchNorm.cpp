#include "batchNorm.h"

#include <initializer_list>

#include "host/launch.h"
#include "ops/batchNorm.h"
#include "vendor/batchNorm.h"

CUDA_IMAGE(batchNorm)

namespace secateur::cuda {

namespace {

// Rows are cut into at most 512 chunks of at least 128.
Columns columnsOf(const View& x) {
  const std::int64_t channels = x.back(1);
  const std::int64_t rows = channels == 0 ? 0 : x.size() / channels;
  const std::int64_t even = (rows + 511) / 512;
  const std::int64_t chunk = even > 128 ? even : 128;
  return {rows, channels, chunk, (rows + chunk - 1) / chunk};
}

// A kernel over tiles, in both widths.
class Tiled {
 public:
  Tiled(const char* packs, const char* single) : packs_(images::batchNorm, packs), single_(images::batchNorm, single) {}

  // `operands`: all that are read and written in packs; null ones do not matter.
  template <class Params>
  void launch(DType dtype, std::initializer_list<const void*> operands, const Params& p) {
    const auto pack = static_cast<std::int64_t>(16 / bytesOf(dtype));
    bool whole = p.m.channels % pack == 0;
    for (const void* operand : operands) whole = whole && reinterpret_cast<std::uintptr_t>(operand) % 16 == 0;
    const std::int64_t channels = whole ? tilePacks * pack : tileLanes;
    cuda::launch((whole ? packs_ : single_)[dtype], Grid(p.m.chunks, (p.m.channels + channels - 1) / channels),
                 tileThreads, p);
  }

 private:
  Kernels packs_;
  Kernels single_;
};

std::int64_t partBlocks(const Columns& m) { return (m.channels + partChannels - 1) / partChannels; }

template <class Args>
void forward(const Args& a, const View& add, bool relu) {
  static Tiled moments("batchNormMoments", "batchNormMomentsSingle");
  static Tiled apply("batchNormApply", "batchNormApplySingle");
  static Kernel statistics(images::batchNorm, "batchNormStatistics");
  static Kernel given(images::batchNorm, "batchNormGiven");
  const Columns m = columnsOf(a.x);
  float *mean = a.mean.template as<float>(), *rstd = a.rstd.template as<float>();
  BatchNormStatisticsParams s{m,
                              nullptr,
                              static_cast<float>(a.eps),
                              static_cast<float>(a.momentum),
                              a.runningMean.template as<float>(),
                              a.runningVar.template as<float>(),
                              mean,
                              rstd};
  if (a.training) {
    auto* partial = scratch<float>(2 * m.chunks * m.channels);
    moments.launch(a.x.dtype, {a.x.data}, BatchNormMomentsParams{a.x.data, m, partial});
    s.partial = partial;
    launch(statistics, partBlocks(m), partThreads, s);
  } else {
    launch(given, elementBlocks(m.channels, 256), 256, s);
  }
  const void* plus = add.present ? add.data : nullptr;
  apply.launch(a.x.dtype, {a.x.data, plus, a.y.data},
               BatchNormApplyParams{a.x.data, plus, a.y.data, m, relu, a.weight.template as<float>(),
                                    a.bias.template as<float>(), mean, rstd});
}

}  // namespace

KERNEL(batchNorm, F32 | BF16)(const BatchNormArgs& a) {
  if (!cudnnBatchNorm(a)) forward(a, View{}, a.relu);
}

KERNEL(batchNormAddRelu, F32 | BF16)(const BatchNormAddReluArgs& a) { forward(a, a.add, true); }

KERNEL(batchNormGrad, F32 | BF16)(const BatchNormGradArgs& a) {
  if (cudnnBatchNormGrad(a)) return;
  static Tiled sums("batchNormSums", "batchNormSumsSingle");
  static Tiled gradient("batchNormGrad", "batchNormGradSingle");
  static Kernel totals(images::batchNorm, "batchNormTotals");
  const Columns m = columnsOf(a.x);
  const float *weight = a.weight.as<float>(), *bias = a.bias.as<float>();
  const float *mean = a.mean.as<float>(), *rstd = a.rstd.as<float>();
  float *dweight = a.dweight.as<float>(), *dbias = a.dbias.as<float>();
  const void* y = a.relu && a.y.present ? a.y.data : nullptr;
  void* dadd = a.dadd.present ? a.dadd.data : nullptr;
  auto* partial = scratch<float>(2 * m.chunks * m.channels);
  sums.launch(a.x.dtype, {a.x.data, y, a.g.data, dadd},
              BatchNormSumsParams{a.x.data, y, a.g.data, dadd, m, a.relu, weight, bias, mean, rstd, partial});
  launch(totals, partBlocks(m), partThreads, BatchNormTotalsParams{m, partial, rstd, dweight, dbias});
  // What dadd holds need not be masked again.
  const bool masked = dadd != nullptr;
  const void* g = masked ? dadd : a.g.data;
  gradient.launch(a.x.dtype, {a.x.data, y, g, a.dx.data},
                  BatchNormGradParams{a.x.data, masked ? nullptr : y, g, a.dx.data, m, a.relu && !masked, a.training,
                                      weight, bias, mean, rstd, dweight, dbias});
}

}  // namespace secateur::cuda
