// Softmax and its logarithm from x - max(x), and their gradients: with s the sum of y g (of g for the logarithm),
// dx = y (g - s), or g - e^y s.
//
// Along the last axis a team has a line, and keeps it in shared memory: 4 bytes an element forward and 6 backward in
// bf16, the floor. Along another axis a thread has a line, so that neighbours read neighbours; it reads its line twice.
#include "softmax.h"

#include "gpu/lines.cuh"

namespace secateur::cuda {

template <bool log, class T>
SECATEUR_GPU void alongLines(const SoftmaxParams& p) {
  extern __shared__ __align__(16) unsigned char room[];
  __shared__ float shared[32];
  const Team team(p.lines.team, shared);
  for (std::int64_t line = team.firstLine(); line < p.lines.count; line += team.lineStep()) {
    const T* x = static_cast<const T*>(p.x) + line * p.lines.n;
    T* y = static_cast<T*>(p.y) + line * p.lines.n;
    const auto span = spanOf<T>(team, p.lines.n, x, y);
    T* keep = roomFor(p.lines, team, span, room, 0);
    const T* again = keep != nullptr ? keep : x;
    Exponentials e;
    span.each([&](auto count, std::int64_t i) {
      float v[decltype(count)::value];
      fetchAndKeep(x, i, keep, v);
      e.add(v);
    });
    e.reduce(team);
    const float offset = log ? e.logSum() : 0.0f, scale = 1.0f / e.sum;
    span.each([&](auto count, std::int64_t i) {
      float v[decltype(count)::value];
      fetch(again, i, v);
#pragma unroll
      for (float& each : v) each = log ? each - e.largest - offset : expOf(each - e.largest) * scale;
      put(y, i, v);
    });
    team.wait();
  }
}

template <bool log, class T>
SECATEUR_GPU void gradAlongLines(const SoftmaxGradParams& p) {
  extern __shared__ __align__(16) unsigned char room[];
  __shared__ float shared[32];
  const Team team(p.lines.team, shared);
  for (std::int64_t line = team.firstLine(); line < p.lines.count; line += team.lineStep()) {
    const T* y = static_cast<const T*>(p.y) + line * p.lines.n;
    const T* g = static_cast<const T*>(p.g) + line * p.lines.n;
    T* dx = static_cast<T*>(p.dx) + line * p.lines.n;
    const auto span = spanOf<T>(team, p.lines.n, y, g, dx);
    T* keepY = roomFor(p.lines, team, span, room, 0);
    T* keepG = roomFor(p.lines, team, span, room, 1);
    const T* againY = keepY != nullptr ? keepY : y;
    const T* againG = keepG != nullptr ? keepG : g;
    float sum = 0;
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N], up[N];
      fetchAndKeep(y, i, keepY, v);
      fetchAndKeep(g, i, keepG, up);
#pragma unroll
      for (int j = 0; j < N; j++) sum = log ? sum + up[j] : fmaf(v[j], up[j], sum);
    });
    sum = team.sum(sum);
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float v[N], up[N];
      fetch(againY, i, v);
      fetch(againG, i, up);
#pragma unroll
      for (int j = 0; j < N; j++) v[j] = log ? fmaf(-expOf(v[j]), sum, up[j]) : v[j] * (up[j] - sum);
      put(dx, i, v);
    });
    team.wait();
  }
}

// Calls visit(where a line begins) for the lines of this thread; its elements are p.inner apart.
template <class Visit>
SECATEUR_GPU void forLines(const SoftmaxAcrossParams& p, Visit visit) {
  for (std::int64_t line = threadIndex(); line < p.outer * p.inner; line += threadTotal()) {
    const std::int64_t outer = line / p.inner;
    visit(outer * p.n * p.inner + line - outer * p.inner);
  }
}

template <bool log, class T>
SECATEUR_GPU void across(const SoftmaxAcrossParams& p) {
  forLines(p, [&](std::int64_t at) {
    const T* x = static_cast<const T*>(p.x) + at;
    T* y = static_cast<T*>(p.y) + at;
    Exponentials e;
    for (std::int64_t i = 0; i < p.n; i++) {
      const float v[1] = {toFloat(x[i * p.inner])};
      e.add(v);
    }
    const float offset = log ? e.logSum() : 0.0f, scale = 1.0f / e.sum;
    for (std::int64_t i = 0; i < p.n; i++) {
      const float shifted = toFloat(x[i * p.inner]) - e.largest;
      y[i * p.inner] = fromFloat<T>(log ? shifted - offset : expOf(shifted) * scale);
    }
  });
}

template <bool log, class T>
SECATEUR_GPU void gradAcross(const SoftmaxAcrossParams& p) {
  forLines(p, [&](std::int64_t at) {
    const T* y = static_cast<const T*>(p.x) + at;
    const T* g = static_cast<const T*>(p.g) + at;
    T* dx = static_cast<T*>(p.y) + at;
    float sum = 0;
    for (std::int64_t i = 0; i < p.n; i++) {
      const float up = toFloat(g[i * p.inner]);
      sum = log ? sum + up : fmaf(toFloat(y[i * p.inner]), up, sum);
    }
    for (std::int64_t i = 0; i < p.n; i++) {
      const float v = toFloat(y[i * p.inner]), up = toFloat(g[i * p.inner]);
      dx[i * p.inner] = fromFloat<T>(log ? fmaf(-expOf(v), sum, up) : v * (up - sum));
    }
  });
}

#define INSTANCES(name, log, suffix, T)                                                                          \
  extern "C" __global__ void name##_##suffix(const __grid_constant__ SoftmaxParams p) { alongLines<log, T>(p); } \
  extern "C" __global__ void name##Grad_##suffix(const __grid_constant__ SoftmaxGradParams p) {                  \
    gradAlongLines<log, T>(p);                                                                                   \
  }                                                                                                              \
  extern "C" __global__ void name##Across_##suffix(const __grid_constant__ SoftmaxAcrossParams p) {              \
    across<log, T>(p);                                                                                           \
  }                                                                                                              \
  extern "C" __global__ void name##GradAcross_##suffix(const __grid_constant__ SoftmaxAcrossParams p) {          \
    gradAcross<log, T>(p);                                                                                       \
  }

INSTANCES(softmax, false, f32, float)
INSTANCES(softmax, false, bf16, bf16)
INSTANCES(logSoftmax, true, f32, float)
INSTANCES(logSoftmax, true, bf16, bf16)

}  // namespace secateur::cuda
