// The distillation loss, softmax of student and teacher fused, and its gradient. A team has a row, and keeps both
// sides of it in shared memory: in bf16 4 bytes an element forward and 6 backward.
#include "klDiv.h"

#include "gpu/lines.cuh"

namespace secateur::cuda {

template <int N>
SECATEUR_GPU void multiply(float (&x)[N], float scale) {
#pragma unroll
  for (float& each : x) each *= scale;
}

template <class T>
SECATEUR_GPU void klDiv(const KlDivParams& p) {
  extern __shared__ __align__(16) unsigned char room[];
  __shared__ float shared[32];
  const Team team(p.lines.team, shared);
  for (std::int64_t row = team.firstLine(); row < p.lines.count; row += team.lineStep()) {
    const T* student = static_cast<const T*>(p.student) + row * p.lines.n;
    const T* teacher = static_cast<const T*>(p.teacher) + row * p.lines.n;
    const auto span = spanOf<T>(team, p.lines.n, student, teacher);
    T* keepStudent = roomFor(p.lines, team, span, room, 0);
    T* keepTeacher = roomFor(p.lines, team, span, room, 1);
    Exponentials es, et;
    span.each([&](auto count, std::int64_t i) {
      float s[decltype(count)::value], t[decltype(count)::value];
      fetchAndKeep(student, i, keepStudent, s);
      fetchAndKeep(teacher, i, keepTeacher, t);
      multiply(s, p.scale);
      multiply(t, p.scale);
      es.add(s);
      et.add(t);
    });
    es.reduce(team);
    et.reduce(team);
    const float logS = es.logSum(), logT = et.logSum();
    const T* againStudent = keepStudent != nullptr ? keepStudent : student;
    const T* againTeacher = keepTeacher != nullptr ? keepTeacher : teacher;
    float sum = 0;
    span.each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float s[N], t[N];
      fetch(againStudent, i, s);
      fetch(againTeacher, i, t);
#pragma unroll
      for (int j = 0; j < N; j++) {
        const float logP = s[j] * p.scale - es.largest - logS, logQ = t[j] * p.scale - et.largest - logT;
        const float q = expOf(logQ);
        // A class that the teacher rules out counts nothing, whatever the student says.
        if (q != 0) sum = fmaf(q, logQ - logP, sum);
      }
    });
    sum = team.sum(sum);
    if (team.rank == 0) {
      p.each[row] = sum;
      p.stats[4 * row] = es.largest;
      p.stats[4 * row + 1] = logS;
      p.stats[4 * row + 2] = et.largest;
      p.stats[4 * row + 3] = logT;
    }
    team.wait();
  }
}

template <class T>
SECATEUR_GPU void klDivGrad(const KlDivGradParams& p) {
  const float up = *p.g * p.factor;
  const Team team(p.lines.team);
  for (std::int64_t row = team.firstLine(); row < p.lines.count; row += team.lineStep()) {
    const T* student = static_cast<const T*>(p.student) + row * p.lines.n;
    const T* teacher = static_cast<const T*>(p.teacher) + row * p.lines.n;
    T* dx = static_cast<T*>(p.dx) + row * p.lines.n;
    const float maxS = p.stats[4 * row], logS = p.stats[4 * row + 1];
    const float maxT = p.stats[4 * row + 2], logT = p.stats[4 * row + 3];
    spanOf<T>(team, p.lines.n, student, teacher, dx).each([&](auto count, std::int64_t i) {
      constexpr int N = decltype(count)::value;
      float s[N], t[N];
      fetch(student, i, s);
      fetch(teacher, i, t);
#pragma unroll
      for (int j = 0; j < N; j++)
        s[j] = up * (expOf(s[j] * p.scale - maxS - logS) - expOf(t[j] * p.scale - maxT - logT));
      put(dx, i, s);
    });
  }
}

extern "C" {
__global__ void klDiv_f32(const __grid_constant__ KlDivParams p) { klDiv<float>(p); }
__global__ void klDiv_bf16(const __grid_constant__ KlDivParams p) { klDiv<bf16>(p); }
__global__ void klDivGrad_f32(const __grid_constant__ KlDivGradParams p) { klDivGrad<float>(p); }
__global__ void klDivGrad_bf16(const __grid_constant__ KlDivGradParams p) { klDivGrad<bf16>(p); }
}

}  // namespace secateur::cuda
