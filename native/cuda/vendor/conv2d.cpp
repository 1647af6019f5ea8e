#include "vendor/conv2d.h"

#include "host/launch.h"
#include "vendor/session.h"

namespace secateur::cuda {

namespace {

// Of an op's arguments all but the direction: `x` has the shape of the input, `weight` of the weight, `y` of the
// result.
template <class Args>
dnn::ConvolutionShape shapeOf(const Args& a, dnn::Direction direction, const View& x, const View& weight,
                              const View& y) {
  dnn::ConvolutionShape s;
  s.direction = direction;
  s.dtype = x.dtype;
  s.images = x.dims[0];
  s.height = x.dims[1];
  s.width = x.dims[2];
  s.channels = x.dims[3];
  s.outHeight = y.dims[1];
  s.outWidth = y.dims[2];
  s.outChannels = y.dims[3];
  s.kernelHeight = weight.dims[1];
  s.kernelWidth = weight.dims[2];
  s.groups = a.groups;
  for (int i = 0; i < 2; i++) {
    s.stride[i] = a.stride[i];
    s.padding[i] = a.padding[i];
    s.dilation[i] = a.dilation[i];
  }
  s.highest = a.precision == Args::Precision::highest;
  return s;
}

// What is worth asking for: something to do, and not one channel a group.
bool suits(const dnn::ConvolutionShape& s, bool accumulate) {
  return !accumulate && s.images > 0 && s.outHeight > 0 && s.outWidth > 0 && s.outChannels > 0 && s.channels > s.groups;
}

template <class Args>
bool forward(const Args& a, bool relu) {
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr) return false;
  dnn::ConvolutionShape s = shapeOf(a, dnn::Direction::forward, a.x, a.weight, a.y);
  s.bias = a.bias.present || relu;
  s.relu = relu;
  if (!suits(s, a.accumulate)) return false;
  if (!s.bias)
    return session->run(s, {{dnn::numberX, a.x.data}, {dnn::numberW, a.weight.data}, {dnn::numberY, a.y.data}});
  const void* bias = a.bias.data;
  if (!a.bias.present) {
    // With a bias and relu cuDNN has its kernels ready; with relu alone it compiles one at the first use, for seconds.
    const std::size_t bytes = static_cast<std::size_t>(s.outChannels) * bytesOf(s.dtype);
    void* zeros = scratchBytes(bytes);
    fillZero(zeros, bytes);
    bias = zeros;
  }
  return session->run(
      s, {{dnn::numberX, a.x.data}, {dnn::numberW, a.weight.data}, {dnn::numberBias, bias}, {dnn::numberY, a.y.data}});
}

}  // namespace

bool cudnnConvForward(const Conv2dArgs& a) { return forward(a, false); }

bool cudnnConvReluForward(const Conv2dReluArgs& a) { return forward(a, true); }

bool cudnnConvGradInput(const Conv2dGradInputArgs& a) {
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr) return false;
  const dnn::ConvolutionShape s = shapeOf(a, dnn::Direction::gradInput, a.dx, a.weight, a.g);
  return suits(s, a.accumulate) &&
         session->run(s, {{dnn::numberX, a.dx.data}, {dnn::numberW, a.weight.data}, {dnn::numberY, a.g.data}});
}

bool cudnnConvGradWeight(const Conv2dGradWeightArgs& a) {
  dnn::Session* session = dnn::Session::get();
  if (session == nullptr) return false;
  const dnn::ConvolutionShape s = shapeOf(a, dnn::Direction::gradWeight, a.x, a.dw, a.g);
  return suits(s, a.accumulate) &&
         session->run(s, {{dnn::numberX, a.x.data}, {dnn::numberW, a.dw.data}, {dnn::numberY, a.g.data}});
}

}  // namespace secateur::cuda
