#pragma once
// Optimizer steps over one contiguous range of parameters, gradients and state (an arena), and the squared norm that
// gradient clipping needs. The formulas are PyTorch's, in float; what depends on the step alone is computed once, in
// double. Multiply-adds are written out, so that an element's result does not depend on where it lies in the range.
#include "vec.h"

namespace secateur::SECATEUR_ISA {

struct SgdSettings {
  float lr, momentum, dampening, weightDecay;
  bool nesterov;
  bool firstStep;  // the momentum buffer starts as the gradient itself, without dampening
};

// Of the op sgd, or one that contains its step. Velocities start at zero, which makes the first one the gradient
// itself.
template <class Args>
inline SgdSettings sgdSettings(const Args& a) {
  SgdSettings s{};
  s.lr = static_cast<float>(a.lr);
  s.momentum = a.v.size() > 0 ? static_cast<float>(a.momentum) : 0.0f;
  s.weightDecay = static_cast<float>(a.weightDecay);
  s.nesterov = a.nesterov;
  return s;
}

// d = g + weightDecay p; v = momentum v + (1 - dampening) d (v = d at the first step); p -= lr (nesterov: d + momentum
// v, else v). With momentum 0, v may be null and p -= lr d.
inline void sgdStep(float* p, const float* g, float* v, std::int64_t n, const SgdSettings& s) {
  const float decay = s.weightDecay;
  const float minusLr = -s.lr;
  const float mu = s.momentum;
  if (mu == 0.0f) {
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
    for (std::int64_t i = 0; i < n; ++i) p[i] = fma(minusLr, fma(decay, p[i], g[i]), p[i]);
    return;
  }
  const bool nesterov = s.nesterov;
  if (s.firstStep) {
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
    for (std::int64_t i = 0; i < n; ++i) {
      const float d = fma(decay, p[i], g[i]);
      v[i] = d;
      p[i] = fma(minusLr, nesterov ? fma(mu, d, d) : d, p[i]);
    }
    return;
  }
  const float fresh = 1.0f - s.dampening;
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = fma(decay, p[i], g[i]);
    const float velocity = fma(mu, v[i], fresh * d);
    v[i] = velocity;
    p[i] = fma(minusLr, nesterov ? fma(mu, velocity, d) : velocity, p[i]);
  }
}

struct AdamSettings {
  double lr, beta1, beta2, eps, weightDecay;
  std::int64_t step;  // 1 at the first step
  bool decoupled;     // AdamW: p *= 1 - lr weightDecay; else Adam: g += weightDecay p
};

// Of tensor i of the op adam, or one that contains its step.
template <class Args>
inline AdamSettings adamSettings(const Args& a, std::size_t i) {
  return {a.lr, a.beta1, a.beta2, a.eps, a.weightDecay, a.step[i], a.decoupled};
}

// base^exponent by squaring.
inline double wholePower(double base, std::int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent >>= 1, base *= base) result *= (exponent & 1) != 0 ? base : 1.0;
  return result;
}

// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p -= lr (m / (1 - beta1^step)) / (sqrt(v / (1 -
// beta2^step))
// + eps).
inline void adamStep(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamSettings& s) {
  const double correction1 = 1.0 - wholePower(s.beta1, s.step);
  const double correction2 = 1.0 - wholePower(s.beta2, s.step);
  const float minusRate = static_cast<float>(-s.lr / correction1);
  const float inverseRoot = static_cast<float>(1.0 / __builtin_sqrt(correction2));
  const float beta1 = static_cast<float>(s.beta1);
  const float beta2 = static_cast<float>(s.beta2);
  const float fresh1 = static_cast<float>(1.0 - s.beta1);
  const float fresh2 = static_cast<float>(1.0 - s.beta2);
  const float eps = static_cast<float>(s.eps);
  const float shrink = s.decoupled ? static_cast<float>(1.0 - s.lr * s.weightDecay) : 1.0f;
  const float decay = static_cast<float>(s.weightDecay);
  const bool decoupled = s.decoupled;
#pragma omp parallel for simd schedule(static) if (n >= kParallel)
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = decoupled ? g[i] : fma(decay, p[i], g[i]);
    const float mean = fma(beta1, m[i], fresh1 * d);
    const float square = fma(beta2, v[i], fresh2 * d * d);
    m[i] = mean;
    v[i] = square;
    const float denominator = fma(__builtin_sqrtf(square), inverseRoot, eps);
    p[i] = fma(minusRate, mean / denominator, p[i] * shrink);
  }
}

struct RmspropSettings {
  float lr, alpha, eps, weightDecay, momentum;
};

// d = g + weightDecay p; s = alpha s + (1 - alpha) d^2; with a mean a = alpha a + (1 - alpha) d (centered, mean not
// null) the square is s - a^2; q = d / (sqrt(square) + eps); with momentum (v not null) v = momentum v + q; p -= lr (v
// or q).
inline void rmspropStep(float* p, const float* g, float* s, float* mean, float* v, std::int64_t n,
                        const RmspropSettings& settings) {
  const float alpha = settings.alpha;
  const float fresh = static_cast<float>(1.0 - static_cast<double>(alpha));
  const float eps = settings.eps;
  const float decay = settings.weightDecay;
  const float mu = settings.momentum;
  const float minusLr = -settings.lr;
  const bool centered = mean != nullptr;
  const bool heavy = v != nullptr;
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t end = n - begin < kChunk ? n : begin + kChunk;
    constexpr int kBlock = 1024;
    float quotient[kBlock];
    for (std::int64_t b = begin; b < end; b += kBlock) {
      const int count = static_cast<int>(end - b < kBlock ? end - b : kBlock);
#pragma omp simd
      for (int i = 0; i < count; ++i) {
        const float d = fma(decay, p[b + i], g[b + i]);
        s[b + i] = fma(alpha, s[b + i], fresh * d * d);
        quotient[i] = d;
      }
      if (centered) {
#pragma omp simd
        for (int i = 0; i < count; ++i) {
          const float average = fma(alpha, mean[b + i], fresh * quotient[i]);
          mean[b + i] = average;
          // A variance: below zero only by rounding.
          const float spread = fma(-average, average, s[b + i]);
          quotient[i] = quotient[i] / (__builtin_sqrtf(spread < 0.0f ? 0.0f : spread) + eps);
        }
      } else {
#pragma omp simd
        for (int i = 0; i < count; ++i) quotient[i] = quotient[i] / (__builtin_sqrtf(s[b + i]) + eps);
      }
      if (heavy) {
#pragma omp simd
        for (int i = 0; i < count; ++i) quotient[i] = v[b + i] = fma(mu, v[b + i], quotient[i]);
      }
#pragma omp simd
      for (int i = 0; i < count; ++i) p[b + i] = fma(minusLr, quotient[i], p[b + i]);
    }
  }
}

// Sum of squares in double: eight running sums a chunk, chunks added in order, so that the result depends neither on
// the number of threads nor on the instruction set. part(begin, count, room) gives `count` numbers from `begin` on; it
// may write them to `room`. partial holds (n + kChunk - 1) / kChunk doubles.
constexpr std::int64_t kSquaresStep = 2048;
template <class Part>
SECATEUR_INLINE double sumOfSquares(std::int64_t n, double* partial, const Part& part) {
#pragma omp parallel for schedule(static) if (n >= kParallel)
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t end = n - begin < kChunk ? n : begin + kChunk;
    double sums[8] = {};
    for (std::int64_t step = begin; step < end; step += kSquaresStep) {
      alignas(64) float room[kSquaresStep];
      const std::int64_t count = end - step < kSquaresStep ? end - step : kSquaresStep;
      const float* g = part(step, count, room);
      std::int64_t i = 0;
      for (; i + 8 <= count; i += 8) {
#pragma omp simd
        for (int lane = 0; lane < 8; ++lane) {
          const double x = static_cast<double>(g[i + lane]);
          sums[lane] = __builtin_fma(x, x, sums[lane]);
        }
      }
      for (; i < count; ++i) sums[0] = __builtin_fma(static_cast<double>(g[i]), static_cast<double>(g[i]), sums[0]);
    }
    partial[begin / kChunk] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }
  double total = 0.0;
  for (std::int64_t chunk = 0; chunk * kChunk < n; ++chunk) total += partial[chunk];
  return total;
}

// What gradients are multiplied with so that their norm is at most maxNorm. A NaN norm makes it NaN.
inline float clipFactor(float norm, double maxNorm) {
  const double ratio = maxNorm / (static_cast<double>(norm) + 1e-6);
  return ratio >= 1 ? 1.0f : static_cast<float>(ratio);
}

}  // namespace secateur::SECATEUR_ISA
