#pragma once
#include "gpu/columns.h"

namespace secateur::cuda {

// What chunks leave: two rows of `channels` numbers each.
struct BatchNormMomentsParams {
  const void* x;
  Columns m;
  float* partial;
};

struct BatchNormStatisticsParams {
  Columns m;
  const float* partial;
  float eps;
  float momentum;
  float* runningMean;
  float* runningVar;
  float* mean;
  float* rstd;
};

struct BatchNormApplyParams {
  const void* x;
  const void* add;  // or null
  void* y;
  Columns m;
  bool relu;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* rstd;
};

struct BatchNormSumsParams {
  const void* x;
  const void* y;  // or null: relu's mask is found again from x
  const void* g;
  void* dadd;  // or null
  Columns m;
  bool relu;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* rstd;
  float* partial;
};

struct BatchNormTotalsParams {
  Columns m;
  const float* partial;
  const float* rstd;
  float* dweight;
  float* dbias;
};

struct BatchNormGradParams {
  const void* x;
  const void* y;
  const void* g;
  void* dx;
  Columns m;
  bool relu;
  bool training;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* rstd;
  const float* dweight;
  const float* dbias;
};

}  // namespace secateur::cuda
