#include "cpu/dnnl/convolution.h"

#include <omp.h>

#include <map>
#include <type_traits>
#include <vector>

#include "cpu/dnnl/engine.h"

namespace secateur::onednn {
namespace {

using dnnl::memory;
using Dims = memory::dims;
using DataType = memory::data_type;

enum class Pass { forward, backwardData, backwardWeights };

/// A primitive with its memories, whose pointers are set at every call.
struct Plan {
  bool supported = false;
  dnnl::primitive primitive;
  dnnl::reorder pack;  // plain weights to packed, or back for their gradient
  bool packed = false;
  memory source, target, plainWeights, packedWeights, bias, scratchpad;
};

memory::desc activations(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c, DataType type) {
  return memory::desc(Dims{n, c, h, w}, type, memory::format_tag::nhwc);
}

/// oneDNN counts the axes of weights as (group,) out, in, height, width, whatever their order in memory.
memory::desc plainWeights(const ConvShape& s, DataType type) {
  const std::int64_t in = s.in / s.groups, filter = s.kernelH * s.kernelW * in;
  if (s.groups == 1)
    return memory::desc(Dims{s.out, in, s.kernelH, s.kernelW}, type, Dims{filter, 1, s.kernelW * in, in});
  return memory::desc(Dims{s.groups, s.out / s.groups, in, s.kernelH, s.kernelW}, type,
                      Dims{s.out / s.groups * filter, filter, 1, s.kernelW * in, in});
}

memory::desc anyWeights(const ConvShape& s, DataType type) {
  const std::int64_t in = s.in / s.groups;
  const Dims dims = s.groups == 1 ? Dims{s.out, in, s.kernelH, s.kernelW}
                                  : Dims{s.groups, s.out / s.groups, in, s.kernelH, s.kernelW};
  return memory::desc(dims, type, memory::format_tag::any);
}

memory empty(const memory::desc& description) { return memory(description, engine(), nullptr); }

template <class Descriptor>
void finish(Plan& plan, const Descriptor& descriptor, const ConvShape& s, const memory::desc& packed,
            DataType weightType, bool back) {
  const memory::desc plain = plainWeights(s, weightType);
  plan.scratchpad = empty(descriptor.scratchpad_desc());
  plan.plainWeights = empty(plain);
  plan.packedWeights = empty(packed);
  plan.packed = packed != plain;
  if (plan.packed)
    plan.pack = back ? dnnl::reorder(plan.packedWeights, plan.plainWeights)
                     : dnnl::reorder(plan.plainWeights, plan.packedWeights);
  plan.supported = true;
}

Plan make(Pass pass, const ConvShape& s, DataType type, DataType weightType, bool bias) {
  const memory::desc x = activations(s.batch, s.height, s.width, s.in, type);
  const memory::desc y = activations(s.batch, s.outHeight(), s.outWidth(), s.out, type);
  const memory::desc w = anyWeights(s, type), dw = anyWeights(s, weightType);
  const memory::desc b = bias ? memory::desc(Dims{s.out}, DataType::f32, memory::format_tag::a) : memory::desc();
  const Dims strides{s.strideH, s.strideW}, dilations{s.dilationH - 1, s.dilationW - 1};
  const Dims before{s.padTop, s.padLeft}, after{s.padBottom, s.padRight};
  const auto direct = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  using Forward = dnnl::convolution_forward;
  using BackwardData = dnnl::convolution_backward_data;
  using BackwardWeights = dnnl::convolution_backward_weights;
  const auto training = dnnl::prop_kind::forward_training;
  Plan plan;
  // oneDNN 2.6 sums uninitialised memory here (found by comparison with plain loops); f32 does not.
  if (pass == Pass::backwardWeights && type == DataType::bf16 && s.outWidth() == 1 && s.strideW > 1) return plan;
  plan.bias = empty(b);
#if DNNL_VERSION_MAJOR >= 3
  const auto forward = [&](const memory::desc& weights, const memory::desc& offset) {
    return Forward::primitive_desc(engine(), training, direct, x, weights, offset, y, strides, dilations, before, after,
                                   attributes);
  };
#else
  const auto forward = [&](const memory::desc& weights, const memory::desc& offset) {
    return Forward::primitive_desc(
        Forward::desc(training, direct, x, weights, offset, y, strides, dilations, before, after), attributes,
        engine());
  };
#endif
  try {
    if (pass == Pass::forward) {
      const auto descriptor = forward(w, b);
      plan.primitive = Forward(descriptor);
      plan.source = empty(x);
      plan.target = empty(y);
      finish(plan, descriptor, s, descriptor.weights_desc(), type, false);
    } else if (pass == Pass::backwardData) {
#if DNNL_VERSION_MAJOR >= 3
      const BackwardData::primitive_desc descriptor(engine(), direct, x, w, y, strides, dilations, before, after,
                                                    forward(w, memory::desc()), attributes);
#else
      const BackwardData::primitive_desc descriptor(
          BackwardData::desc(direct, x, w, y, strides, dilations, before, after), attributes, engine(),
          forward(w, memory::desc()));
#endif
      plan.primitive = BackwardData(descriptor);
      plan.source = empty(y);
      plan.target = empty(x);
      finish(plan, descriptor, s, descriptor.weights_desc(), type, false);
    } else {
#if DNNL_VERSION_MAJOR >= 3
      const BackwardWeights::primitive_desc descriptor(engine(), direct, x, dw, b, y, strides, dilations, before, after,
                                                       forward(w, b), attributes);
#else
      const BackwardWeights::primitive_desc descriptor(
          BackwardWeights::desc(direct, x, dw, b, y, strides, dilations, before, after), attributes, engine(),
          forward(w, b));
#endif
      plan.primitive = BackwardWeights(descriptor);
      plan.source = empty(x);
      plan.target = empty(y);
      finish(plan, descriptor, s, descriptor.diff_weights_desc(), weightType, true);
    }
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented || type == DataType::f32) throw;
  }
  return plan;
}

/// Kept by everything that the choice of code depends on. Shapes rarely number more than a model's layers times two
/// (training and the last, smaller batch), so that a full cache means changing shapes, and is emptied.
Plan& planFor(Pass pass, const ConvShape& s, DataType type, DataType weightType, bool bias) {
  static std::map<std::vector<std::int64_t>, Plan> plans;
  if (plans.size() >= 1024) plans.clear();
  const std::vector<std::int64_t> key{static_cast<int>(pass),
                                      static_cast<int>(type),
                                      static_cast<int>(weightType),
                                      bias,
                                      omp_get_max_threads(),
                                      s.batch,
                                      s.height,
                                      s.width,
                                      s.in,
                                      s.out,
                                      s.kernelH,
                                      s.kernelW,
                                      s.strideH,
                                      s.strideW,
                                      s.padTop,
                                      s.padLeft,
                                      s.padBottom,
                                      s.padRight,
                                      s.dilationH,
                                      s.dilationW,
                                      s.groups};
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(key, make(pass, s, type, weightType, bias)).first->second;
}

/// oneDNN's interface has no const pointers; sources are only read.
void point(memory& to, const void* data) { to.set_data_handle(const_cast<void*>(data)); }

void prepare(Plan& plan, const void* weights) {
  point(plan.scratchpad, workspace(Slot::scratchpad, plan.scratchpad.get_desc().get_size()));
  point(plan.plainWeights, weights);
  point(plan.packedWeights, plan.packed ? workspace(Slot::weights, plan.packedWeights.get_desc().get_size()) : weights);
}

std::int64_t inputSize(const ConvShape& s) { return s.batch * s.height * s.width * s.in; }
std::int64_t outputSize(const ConvShape& s) { return s.batch * s.outHeight() * s.outWidth() * s.out; }
std::int64_t weightSize(const ConvShape& s) { return s.out * s.kernelH * s.kernelW * (s.in / s.groups); }

float* floats(Slot slot, std::int64_t n) {
  return static_cast<float*>(workspace(slot, static_cast<std::size_t>(n) * sizeof(float)));
}

float* widened(Slot slot, const bf16* from, std::int64_t n) {
  float* to = floats(slot, n);
  widen(from, to, n);
  return to;
}
float* widened(Slot, const float*, std::int64_t) { return nullptr; }  // f32 is always supported
void narrowInto(const float* from, bf16* to, std::int64_t n) { narrow(from, to, n); }
void narrowInto(const float*, float*, std::int64_t) {}

}  // namespace

template <class T>
void convForward(const ConvShape& s, const T* x, const T* w, const float* bias, T* y) {
  Plan& plan = planFor(Pass::forward, s, dataType<T>(), dataType<T>(), bias != nullptr);
  if (!plan.supported) {
    float* wide = floats(Slot::third, outputSize(s));
    convForward<float>(s, widened(Slot::first, x, inputSize(s)), widened(Slot::second, w, weightSize(s)), bias, wide);
    return narrowInto(wide, y, outputSize(s));
  }
  prepare(plan, w);
  point(plan.source, x);
  point(plan.target, y);
  if (bias != nullptr) point(plan.bias, bias);
  if (plan.packed) plan.pack.execute(stream(), plan.plainWeights, plan.packedWeights);
  plan.primitive.execute(stream(), {{DNNL_ARG_SRC, plan.source},
                                    {DNNL_ARG_WEIGHTS, plan.packedWeights},
                                    {DNNL_ARG_BIAS, plan.bias},
                                    {DNNL_ARG_DST, plan.target},
                                    {DNNL_ARG_SCRATCHPAD, plan.scratchpad}});
  stream().wait();
}

template <class T>
void convBackwardData(const ConvShape& s, const T* dy, const T* w, T* dx) {
  Plan& plan = planFor(Pass::backwardData, s, dataType<T>(), dataType<T>(), false);
  if (!plan.supported) {
    float* wide = floats(Slot::third, inputSize(s));
    convBackwardData<float>(s, widened(Slot::first, dy, outputSize(s)), widened(Slot::second, w, weightSize(s)), wide);
    return narrowInto(wide, dx, inputSize(s));
  }
  prepare(plan, w);
  point(plan.source, dy);
  point(plan.target, dx);
  if (plan.packed) plan.pack.execute(stream(), plan.plainWeights, plan.packedWeights);
  plan.primitive.execute(stream(), {{DNNL_ARG_DIFF_DST, plan.source},
                                    {DNNL_ARG_WEIGHTS, plan.packedWeights},
                                    {DNNL_ARG_DIFF_SRC, plan.target},
                                    {DNNL_ARG_SCRATCHPAD, plan.scratchpad}});
  stream().wait();
}

template <class T, class W>
void convBackwardWeights(const ConvShape& s, const T* x, const T* dy, W* dw, float* dbias) {
  Plan& plan = planFor(Pass::backwardWeights, s, dataType<T>(), dataType<W>(), dbias != nullptr);
  if (!plan.supported) {
    const float* wideX = widened(Slot::first, x, inputSize(s));
    const float* wideDy = widened(Slot::second, dy, outputSize(s));
    if constexpr (std::is_same_v<W, float>) return convBackwardWeights<float, float>(s, wideX, wideDy, dw, dbias);
    float* wide = floats(Slot::third, weightSize(s));
    convBackwardWeights<float, float>(s, wideX, wideDy, wide, dbias);
    return narrowInto(wide, dw, weightSize(s));
  }
  prepare(plan, dw);
  point(plan.source, x);
  point(plan.target, dy);
  if (dbias != nullptr) point(plan.bias, dbias);
  plan.primitive.execute(stream(), {{DNNL_ARG_SRC, plan.source},
                                    {DNNL_ARG_DIFF_DST, plan.target},
                                    {DNNL_ARG_DIFF_WEIGHTS, plan.packedWeights},
                                    {DNNL_ARG_DIFF_BIAS, plan.bias},
                                    {DNNL_ARG_SCRATCHPAD, plan.scratchpad}});
  if (plan.packed) plan.pack.execute(stream(), plan.packedWeights, plan.plainWeights);
  stream().wait();
}

template void convForward<float>(const ConvShape&, const float*, const float*, const float*, float*);
template void convForward<bf16>(const ConvShape&, const bf16*, const bf16*, const float*, bf16*);
template void convBackwardData<float>(const ConvShape&, const float*, const float*, float*);
template void convBackwardData<bf16>(const ConvShape&, const bf16*, const bf16*, bf16*);
template void convBackwardWeights<float, float>(const ConvShape&, const float*, const float*, float*, float*);
template void convBackwardWeights<bf16, bf16>(const ConvShape&, const bf16*, const bf16*, bf16*, float*);
template void convBackwardWeights<bf16, float>(const ConvShape&, const bf16*, const bf16*, float*, float*);

}  // namespace secateur::onednn
