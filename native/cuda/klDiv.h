#pragma once
#include "gpu/lines.h"

namespace secateur::cuda {

struct KlDivParams {
  const void* student;
  const void* teacher;
  Lines lines;
  float scale;   // 1 / temperature
  float* stats;  // four a row: largest and logarithm of the sum of exponentials, of the student and of the teacher
  float* each;   // a row's divergence
};

struct KlDivGradParams {
  const void* student;
  const void* teacher;
  Lines lines;
  float scale;
  const float* stats;
  const float* g;
  float factor;  // temperature / rows
  void* dx;
};

}  // namespace secateur::cuda
