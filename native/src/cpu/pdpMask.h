#pragma once
// The PDP soft mask m = sigmoid((w^2 - t^2) / tau), its product with the weight, the gradient, and the hard mask.
//
// With e = exp(-(w^2 - t^2) / tau): m = 1 / (1 + e) and m (1 - m) = e / (1 + e)^2, both without cancellation, so one
// exponential and one division give everything. The exponential is taken in base 2: log2(e) / tau is one constant.
// A saturated e (0 or infinity) makes m exactly 1 or 0, and no finite weight gives NaN, however small tau is: each
// product below keeps its possible infinity away from a possible zero. k = 0 (nothing pruned) is a copy, bit for bit.
#include "vec.h"

namespace secateur::SECATEUR_ISA {

struct PdpConstants {
  Vec t, halfT, rate, sharpness;
};

constexpr float kLargest = 0x1.fffffep+127f;

// rate = -2 log2(e) / tau goes with (|w| - t) * (|w| + t) / 2; the half keeps the sum of two large numbers finite. A
// tau below 1e-38, where its reciprocal is no float, counts as 1e-38.
SECATEUR_INLINE PdpConstants pdpConstants(float t, float tau) {
  t = t > kLargest ? kLargest : t;
  const double inverse = 1.0 / static_cast<double>(tau < 1e-38f ? 1e-38f : tau);
  return {splat(t), splat(0.5f * t), splat(static_cast<float>(-2.0 * 1.4426950408889634 * inverse)),
          splat(static_cast<float>(2.0 * inverse))};
}

// e = exp(-(w^2 - t^2) / tau), relative error below 3e-7 of the polynomial plus that of the argument.
SECATEUR_INLINE Vec pdpOdds(Vec magnitude, const PdpConstants& c) {
  Vec y = (magnitude - c.t) * c.rate * fma(magnitude, splat(0.5f), c.halfT);
  y = atMost(splat(128.0f), atLeast(splat(-127.0f), y));
  const Vec n = nearest(y);
  const Vec r = y - n;
  Vec p = splat(0x1.5bd97cp-10f);
  p = fma(p, r, splat(0x1.3ce8b2p-7f));
  p = fma(p, r, splat(0x1.c6b6dap-5f));
  p = fma(p, r, splat(0x1.ebf9c2p-3f));
  p = fma(p, r, splat(0x1.62e42ap-1f));
  p = fma(p, r, splat(1.0f));
  return timesPowerOfTwo(p, n);
}

SECATEUR_INLINE Vec pdpProduct(Vec w, const PdpConstants& c) { return w / (splat(1.0f) + pdpOdds(absOf(w), c)); }

// m (1 - m) from e. An infinite e has the reciprocal 0, and 0 * infinity is kept out by the largest finite float.
SECATEUR_INLINE Vec pdpSlope(Vec e, Vec m) { return (atMost(splat(kLargest), e) * m) * m; }

// g * (m + 2 w^2 / tau * m (1 - m))
SECATEUR_INLINE Vec pdpGradient(Vec w, Vec g, const PdpConstants& c) {
  const Vec a = absOf(w);
  const Vec e = pdpOdds(a, c);
  const Vec m = splat(1.0f) / (splat(1.0f) + e);
  const Vec steepness = atMost(splat(kLargest), (a * c.sharpness) * a);
  return g * fma(steepness, pdpSlope(e, m), m);
}

template <bool kStream, typename Out>
inline void pdpMaskChunk(const float* w, Out* out, std::int64_t n, const PdpConstants& c) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) write<kStream>(out + i, pdpProduct(load(w + i), c));
  if (i < n) putPart(out + i, pdpProduct(loadPart(w + i, static_cast<int>(n - i)), c), static_cast<int>(n - i));
  if constexpr (kStream) _mm_sfence();
}

template <bool kStream, typename Grad>
inline void pdpMaskGradChunk(const float* w, const Grad* g, float* dw, std::int64_t n, const PdpConstants& c) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) write<kStream>(dw + i, pdpGradient(load(w + i), load(g + i), c));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) putPart(dw + i, pdpGradient(loadPart(w + i, rest), loadPart(g + i, rest), c), rest);
  if constexpr (kStream) _mm_sfence();
}

// A conversion that keeps the bits where the types agree.
template <typename In, typename Out>
inline void pdpCopy(const In* in, Out* out, std::int64_t n) {
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
  for (std::int64_t i = 0; i < n; ++i) store(out[i], toFloat(in[i]));
}

// out = m * w as float or bf16. k is how many entries are to be pruned; at 0 t is not read.
template <typename Out>
inline void pdpMask(const float* w, Out* out, std::int64_t n, std::int64_t k, float t, float tau) {
  if (k == 0) return pdpCopy(w, out, n);
  const bool streaming = worthStreaming(out, n);
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t length = n - begin < kChunk ? n - begin : kChunk;
    const PdpConstants c = pdpConstants(t, tau);
    if (streaming) {
      pdpMaskChunk<true>(w + begin, out + begin, length, c);
    } else {
      pdpMaskChunk<false>(w + begin, out + begin, length, c);
    }
  }
}

// dw = g * (m + 2 w^2 / tau * m (1 - m)) with t held constant; g as float or bf16.
template <typename Grad>
inline void pdpMaskGrad(const float* w, const Grad* g, float* dw, std::int64_t n, std::int64_t k, float t, float tau) {
  if (k == 0) return pdpCopy(g, dw, n);
  const bool streaming = worthStreaming(dw, n);
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t length = n - begin < kChunk ? n - begin : kChunk;
    const PdpConstants c = pdpConstants(t, tau);
    if (streaming) {
      pdpMaskGradChunk<true>(w + begin, g + begin, dw + begin, length, c);
    } else {
      pdpMaskGradChunk<false>(w + begin, g + begin, dw + begin, length, c);
    }
  }
}

// The first flat index whose magnitude has these bits, or n.
inline std::int64_t firstWithMagnitude(const float* w, std::int64_t n, float magnitude) {
  const std::uint32_t key = bitsOf(magnitude) & 0x7fffffffu;
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t end = n - begin < kChunk ? n : begin + kChunk;
    std::uint32_t found = 0;
#pragma omp simd reduction(| : found)
    for (std::int64_t i = begin; i < end; ++i) found |= (bitsOf(w[i]) & 0x7fffffffu) == key ? 1u : 0u;
    if (found == 0) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if ((bitsOf(w[i]) & 0x7fffffffu) == key) return i;
    }
  }
  return n;
}

// The derivative through the threshold, added to dw: dL/dt = sum_j g_j w_j (-2 t / tau) m_j (1 - m_j), of which half
// goes, with the sign of the weight, to the first entry of magnitude lower = a_k and half to the first of upper =
// a_(k+1). For 0 < k < n. partial holds (n + kChunk - 1) / kChunk doubles; chunks are summed in order.
template <typename Grad>
inline void pdpThresholdGrad(const float* w, const Grad* g, float* dw, std::int64_t n, float lower, float upper,
                             float t, float tau, double* partial) {
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t length = n - begin < kChunk ? n - begin : kChunk;
    const PdpConstants c = pdpConstants(t, tau);
    double sum = 0.0;
    for (std::int64_t i = 0; i < length; i += kLanes) {
      const int count = length - i < kLanes ? static_cast<int>(length - i) : kLanes;
      const Vec v = count == kLanes ? load(w + begin + i) : loadPart(w + begin + i, count);
      const Vec u = count == kLanes ? load(g + begin + i) : loadPart(g + begin + i, count);
      const Vec e = pdpOdds(absOf(v), c);
      float terms[kLanes];
      put(terms, u * (v * pdpSlope(e, splat(1.0f) / (splat(1.0f) + e))));
      for (int lane = 0; lane < kLanes; ++lane) sum += static_cast<double>(terms[lane]);
    }
    partial[begin / kChunk] = sum;
  }
  double total = 0.0;
  for (std::int64_t chunk = 0; chunk * kChunk < n; ++chunk) total += partial[chunk];
  const float half = static_cast<float>(total * (-2.0 * static_cast<double>(t) / static_cast<double>(tau)) * 0.5);
  const float holders[2] = {lower, upper};
  for (const float magnitude : holders) {
    const std::int64_t i = firstWithMagnitude(w, n, magnitude);
    if (i < n) dw[i] += w[i] > 0.0f ? half : w[i] < 0.0f ? -half : 0.0f;
  }
}

// Exactly k entries zeroed: those of magnitude below lower = a_k and the first `ties` of that magnitude; the others are
// kept(w). Compares bit patterns, so that NaN counts as the largest.
template <typename Kept>
inline void pdpHardSelect(const float* w, float* out, std::int64_t n, std::int64_t k, float lower, std::int64_t ties,
                          const Kept& kept) {
  const std::uint32_t cut = k == 0 ? 0u : bitsOf(lower) & 0x7fffffffu;
  // Found before anything is written, because `out` may be `w`: the last of the ties to go.
  std::int64_t through = -1;
  for (std::int64_t begin = 0; k > 0 && begin < n && ties > 0; begin += kChunk) {
    const std::int64_t end = n - begin < kChunk ? n : begin + kChunk;
    for (std::int64_t i = begin + firstWithMagnitude(w + begin, end - begin, lower); i < end && ties > 0; ++i) {
      if ((bitsOf(w[i]) & 0x7fffffffu) != cut) continue;
      through = i;
      --ties;
    }
  }
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t key = bitsOf(w[i]) & 0x7fffffffu;
    out[i] = key < cut || (key == cut && i <= through) ? 0.0f : kept(w[i]);
  }
}

// The weights with exactly k entries zeroed; the others keep their bits. In place is allowed.
inline void pdpHardMask(const float* w, float* out, std::int64_t n, std::int64_t k, float lower, std::int64_t ties) {
  pdpHardSelect(
      w, out, n, k, lower, ties, [](float x) __attribute__((always_inline)) { return x; });
}

}  // namespace secateur::SECATEUR_ISA
