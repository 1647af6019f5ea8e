// Depthwise convolution, channels last: each input channel has its own filters, `multiplier` of them. Memory is what
// counts: in bf16 2 bytes are read and 2 written an element, and the windows' overlap comes from the caches.
//
// A thread has 16 bytes of neighbouring channels at one pixel where the layout allows it, else one channel.
#pragma once
#include "gpu/window.cuh"

namespace secateur::cuda {

// y or dx: visit(channel, pixel) for the packs of all pixels; `width` channels each.
template <int width, class Visit>
SECATEUR_GPU void eachPack(std::int64_t n, std::int64_t channels, Visit visit) {
  const std::int64_t perPixel = channels / width;
  for (std::int64_t i = threadIndex(); i < n / width; i += threadTotal())
    visit(static_cast<int>(i % perPixel * width), static_cast<std::uint32_t>(i / perPixel));
}

template <class T, int width>
SECATEUR_GPU void addTo(T* at, const float (&sums)[width], bool accumulate, bool relu = false) {
  Pack<T, width> out = accumulate ? loadPack<T, width>(at) : Pack<T, width>{};
#pragma unroll
  for (int j = 0; j < width; j++) {
    const float sum = accumulate ? sums[j] + toFloat(out.at[j]) : sums[j];
    // NaN passes.
    out.at[j] = fromFloat<T>(relu && sum <= 0 ? 0.0f : sum);
  }
  storePack(at, out);
}

// Forward: `width` output channels at a time. With a multiplier above one neighbours share an input channel.
template <class T, int width>
SECATEUR_GPU void depthwisePacks(const DepthwiseParams& p) {
  const ConvGeometry& g = p.geometry;
  const auto* x = static_cast<const T*>(p.x);
  const auto* weight = static_cast<const T*>(p.weight);
  const auto* bias = static_cast<const T*>(p.bias);
  const int taps = static_cast<int>(g.kernelHeight * g.kernelWidth);
  eachPack<width>(p.n, g.outChannels, [&](int channel, std::uint32_t at) {
    const Pixel out = pixelOf(at, g.outPerImage, g.outPerRow);
    const int from = width > 1 ? channel : static_cast<int>(quotient(channel, g.perOutGroup));
    float sums[width];
#pragma unroll
    for (int j = 0; j < width; j++) sums[j] = bias == nullptr ? 0.0f : toFloat(bias[channel + j]);
    for (int ky = 0; ky < g.kernelHeight; ky++) {
      for (int kx = 0; kx < g.kernelWidth; kx++) {
        const T* here = inWindow(g, x, out, {ky, kx, from});
        if (here == nullptr) continue;
        const Pack<T, width> values = loadPack<T, width>(here);
        const T* filter = weight + channel * taps + ky * static_cast<int>(g.kernelWidth) + kx;
#pragma unroll
        for (int j = 0; j < width; j++) sums[j] = fmaf(toFloat(values.at[j]), toFloat(filter[j * taps]), sums[j]);
      }
    }
    addTo<T, width>(static_cast<T*>(p.out) + at * g.outChannels + channel, sums, p.accumulate, p.relu);
  });
}

template <class T>
SECATEUR_GPU bool packable(const DepthwiseParams& p, const void* in) {
  return p.geometry.groupOutChannels == 1 && p.geometry.channels % perPack<T> == 0 &&
         aligned(16, static_cast<const char*>(in), static_cast<const char*>(p.out));
}

template <class T>
SECATEUR_GPU void depthwise(const DepthwiseParams& p) {
  if (packable<T>(p, p.x)) {
    depthwisePacks<T, perPack<T>>(p);
  } else {
    depthwisePacks<T, 1>(p);
  }
}

// dx: `width` input channels at a time, each with the gradients of its output channels.
template <class T, int width>
SECATEUR_GPU void depthwiseInputPacks(const DepthwiseParams& p) {
  const ConvGeometry& g = p.geometry;
  const auto* gradient = static_cast<const T*>(p.g);
  const auto* weight = static_cast<const T*>(p.weight);
  const int taps = static_cast<int>(g.kernelHeight * g.kernelWidth);
  const int multiplier = width > 1 ? 1 : static_cast<int>(g.groupOutChannels);
  eachPack<width>(p.n, g.channels, [&](int channel, std::uint32_t at) {
    const Pixel in = pixelOf(at, g.perImage, g.perRow);
    float sums[width] = {};
    for (int ky = 0; ky < g.kernelHeight; ky++) {
      for (int kx = 0; kx < g.kernelWidth; kx++) {
        const T* here = fromWindow(g, gradient, in, {ky, kx, channel * multiplier});
        if (here == nullptr) continue;
        for (int m = 0; m < multiplier; m++) {
          const Pack<T, width> values = loadPack<T, width>(here + m);
          const T* filter = weight + (channel * multiplier + m) * taps + ky * static_cast<int>(g.kernelWidth) + kx;
#pragma unroll
          for (int j = 0; j < width; j++) sums[j] = fmaf(toFloat(values.at[j]), toFloat(filter[j * taps]), sums[j]);
        }
      }
    }
    addTo<T, width>(static_cast<T*>(p.out) + at * g.channels + channel, sums, p.accumulate);
  });
}

template <class T>
SECATEUR_GPU void depthwiseGradInput(const DepthwiseParams& p) {
  if (packable<T>(p, p.g)) {
    depthwiseInputPacks<T, perPack<T>>(p);
  } else {
    depthwiseInputPacks<T, 1>(p);
  }
}

// dw: a chunk of the pixels of y a block row, a thread for each output channel and tap. The chunks' sums are added up
// by depthwiseWeightSum, in order.
template <class T>
SECATEUR_GPU void depthwiseGradWeight(const DepthwiseParams& p) {
  const ConvGeometry& g = p.geometry;
  const auto* x = static_cast<const T*>(p.x);
  const auto* gradient = static_cast<const T*>(p.g);
  const std::int64_t entries = g.kernelHeight * g.kernelWidth * g.outChannels;
  const std::int64_t entry = threadIndex();
  if (entry >= entries) return;
  // Neighbouring threads have neighbouring channels.
  const int channel = static_cast<int>(entry % g.outChannels);
  const int at = static_cast<int>(entry / g.outChannels);
  const Tap tap{at / static_cast<int>(g.kernelWidth), at % static_cast<int>(g.kernelWidth),
                static_cast<int>(quotient(channel, g.perOutGroup))};
  const std::int64_t each = (p.n + p.chunks - 1) / p.chunks;
  const std::int64_t begin = blockIdx.y * each;
  const std::int64_t end = begin + each < p.n ? begin + each : p.n;
  float sum = 0;
  for (std::int64_t i = begin; i < end; i++) {
    const T* here = inWindow(g, x, pixelOf(static_cast<std::uint32_t>(i), g.outPerImage, g.outPerRow), tap);
    if (here != nullptr) sum = fmaf(toFloat(*here), toFloat(gradient[i * g.outChannels + channel]), sum);
  }
  p.partial[blockIdx.y * entries + entry] = sum;
}

template <class T>
SECATEUR_GPU void depthwiseWeightSum(const DepthwiseParams& p) {
  const ConvGeometry& g = p.geometry;
  const std::int64_t taps = g.kernelHeight * g.kernelWidth, entries = taps * g.outChannels;
  for (std::int64_t i = threadIndex(); i < entries; i += threadTotal()) {
    float sum = 0;
    for (std::int64_t c = 0; c < p.chunks; c++) sum += p.partial[c * entries + i];
    // From [kh, kw, O] to [O, kh, kw].
    T* at = static_cast<T*>(p.out) + i % g.outChannels * taps + i / g.outChannels;
    *at = fromFloat<T>(p.accumulate ? sum + toFloat(*at) : sum);
  }
}

}  // namespace secateur::cuda
