// The windows of a convolution as operands of a matrix product: nothing is copied out, the loaders find every element
// in the image itself.
#pragma once
#include "conv2d.h"
#include "gpu/operand.cuh"

namespace secateur::cuda {

// Quotient and rest at once.
struct Split {
  std::uint32_t over, rest;
};
SECATEUR_GPU Split split(std::uint32_t x, const FastDivide& d) {
  const std::uint32_t over = quotient(x, d);
  return {over, x - over * d.divisor};
}

// A position of the kernel and a channel: which of them row or depth number k of the operand is.
struct Tap {
  int y, x, channel;
};
SECATEUR_GPU Tap tapOf(const ConvGeometry& g, std::uint32_t k, const FastDivide& channels) {
  const Split inner = split(k, channels);
  const Split kernel = split(inner.over, g.perKernelRow);
  return {static_cast<int>(kernel.over), static_cast<int>(kernel.rest), static_cast<int>(inner.rest)};
}

// The tap after it.
SECATEUR_GPU void advance(const ConvGeometry& g, Tap& tap, int channels) {
  if (++tap.channel < channels) return;
  tap.channel = 0;
  if (++tap.x < g.kernelWidth) return;
  tap.x = 0;
  tap.y++;
}

struct Pixel {
  int image, y, x;
};
SECATEUR_GPU Pixel pixelOf(std::uint32_t at, const FastDivide& perImage, const FastDivide& perRow) {
  const Split image = split(at, perImage);
  const Split line = split(image.rest, perRow);
  return {static_cast<int>(image.over), static_cast<int>(line.over), static_cast<int>(line.rest)};
}

// Where the window of output pixel `out` meets x at a tap; null outside the image.
template <class T>
SECATEUR_GPU const T* inWindow(const ConvGeometry& g, const T* x, const Pixel& out, const Tap& tap) {
  const int y = out.y * g.strideY - g.paddingY + tap.y * g.dilationY;
  const int xx = out.x * g.strideX - g.paddingX + tap.x * g.dilationX;
  if (y < 0 || y >= g.height || xx < 0 || xx >= g.width) return nullptr;
  return x + ((out.image * g.height + y) * g.width + xx) * g.channels + tap.channel;
}

// The output pixel whose window meets pixel `in` of x at a tap, at that channel of the gradient; null where there is
// none.
template <class T>
SECATEUR_GPU const T* fromWindow(const ConvGeometry& g, const T* gradient, const Pixel& in, const Tap& tap) {
  const int y = in.y + g.paddingY - tap.y * g.dilationY;
  const int x = in.x + g.paddingX - tap.x * g.dilationX;
  if (y < 0 || x < 0) return nullptr;
  const Split down = split(static_cast<std::uint32_t>(y), g.perStrideY);
  const Split across = split(static_cast<std::uint32_t>(x), g.perStrideX);
  if (down.rest != 0 || across.rest != 0 || down.over >= g.outHeight || across.over >= g.outWidth) return nullptr;
  return gradient + ((in.image * g.outHeight + down.over) * g.outWidth + across.over) * g.outChannels + tap.channel;
}

// Sixteen bytes of neighbouring taps from number k on, of which there are `count`. at(tap) gives a pointer or null.
template <class T, class At>
SECATEUR_GPU Fetched<T> fetchTaps(const ConvGeometry& g, std::int64_t k, std::int64_t count, bool packed,
                                  const FastDivide& channels, At at) {
  Fetched<T> pack = nothingFetched<T>();
  Tap tap = tapOf(g, static_cast<std::uint32_t>(k), channels);
  if (packed) {
    const T* from = at(tap);
    return from == nullptr ? pack : loadPack<T, perPack<T>>(from);
  }
#pragma unroll
  for (int j = 0; j < perPack<T>; j++) {
    if (k + j >= count) break;
    const T* from = at(tap);
    if (from != nullptr) pack.at[j] = *from;
    advance(g, tap, static_cast<int>(channels.divisor));
  }
  return pack;
}

// Rows are output pixels, the depth is taps: the windows of the forward pass.
template <class T>
struct WindowLoader {
  using Element = T;
  static constexpr bool alongDepth = true;
  using Place = Pixel;

  const ConvGeometry& g;
  const T* x;  // of the group
  std::int64_t rows, depth;
  bool packed;  // taps 16 bytes apart never part a pack

  SECATEUR_GPU Place place(std::int64_t row) const {
    return pixelOf(static_cast<std::uint32_t>(row), g.outPerImage, g.outPerRow);
  }
  SECATEUR_GPU Fetched<T> fetch(const Place& out, std::int64_t row, std::int64_t k) const {
    if (row >= rows || k >= depth) return nothingFetched<T>();
    return fetchTaps<T>(g, k, depth, packed, g.perGroup, [&](const Tap& tap) { return inWindow(g, x, out, tap); });
  }
};

// Rows are pixels of x, the depth is taps over output channels: the transposed windows of the gradient for x.
template <class T>
struct TransposedLoader {
  using Element = T;
  static constexpr bool alongDepth = true;
  using Place = Pixel;

  const ConvGeometry& g;
  const T* gradient;  // of the group
  std::int64_t rows, depth;
  bool packed;

  SECATEUR_GPU Place place(std::int64_t row) const {
    return pixelOf(static_cast<std::uint32_t>(row), g.perImage, g.perRow);
  }
  SECATEUR_GPU Fetched<T> fetch(const Place& in, std::int64_t row, std::int64_t k) const {
    if (row >= rows || k >= depth) return nothingFetched<T>();
    return fetchTaps<T>(g, k, depth, packed, g.perOutGroup,
                        [&](const Tap& tap) { return fromWindow(g, gradient, in, tap); });
  }
};

// Rows are input channels, the depth is taps over output channels: the weight, for the gradient for x.
template <class T>
struct FilterLoader {
  using Element = T;
  static constexpr bool alongDepth = false;
  struct Place {};

  const ConvGeometry& g;
  const T* weight;  // of the group
  std::int64_t rows, depth;
  bool packed;

  SECATEUR_GPU Place place(std::int64_t) const { return {}; }
  SECATEUR_GPU Fetched<T> fetch(Place, std::int64_t row, std::int64_t k) const {
    if (row >= rows || k >= depth) return nothingFetched<T>();
    const Tap tap = tapOf(g, static_cast<std::uint32_t>(k), g.perOutGroup);
    const T* from = weight + ((tap.channel * g.kernelHeight + tap.y) * g.kernelWidth + tap.x) * g.groupChannels + row;
    if (packed) return loadPack<T, perPack<T>>(from);
    Fetched<T> pack = nothingFetched<T>();
#pragma unroll
    for (int j = 0; j < perPack<T>; j++) {
      if (row + j < rows) pack.at[j] = from[j];
    }
    return pack;
  }
};

// Rows are taps, the depth is output pixels: the windows of the gradient for the weight.
template <class T>
struct TapLoader {
  using Element = T;
  static constexpr bool alongDepth = false;
  struct Place {};

  const ConvGeometry& g;
  const T* x;  // of the group
  std::int64_t rows, depth;
  bool packed;

  SECATEUR_GPU Place place(std::int64_t) const { return {}; }
  SECATEUR_GPU Fetched<T> fetch(Place, std::int64_t row, std::int64_t k) const {
    if (row >= rows || k >= depth) return nothingFetched<T>();
    const Pixel out = pixelOf(static_cast<std::uint32_t>(k), g.outPerImage, g.outPerRow);
    return fetchTaps<T>(g, row, rows, packed, g.perGroup, [&](const Tap& tap) { return inWindow(g, x, out, tap); });
  }
};

}  // namespace secateur::cuda
