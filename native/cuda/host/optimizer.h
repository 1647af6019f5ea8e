// What the optimizers' ops share on the host: the rows of a launch, and numbers of a step worked out in double.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "gpu/optimizer.h"
#include "host/launch.h"

namespace secateur::cuda {

class OptimizerRows {
 public:
  OptimizerRows(const List<View>& w, const List<View>& g) : rows_(w.size()) {
    for (std::size_t i = 0; i < rows_.size(); i++) {
      const std::int64_t n = w[i].size();
      rows_[i] = {w[i].as<float>(), g[i].data, {}, n, chunks_, 0, 0};
      chunks_ += chunksOf(n);
    }
  }
  // A state tensor for each weight. An empty list adds nothing.
  void add(const List<View>& state) {
    for (std::size_t i = 0; i < state.size(); i++) rows_[i].slots[slots_] = state[i].as<float>();
    if (state.size() > 0) slots_++;
  }
  OptimizerRow& operator[](std::size_t i) { return rows_[i]; }
  int slots() const { return slots_; }
  std::int64_t chunks() const { return chunks_; }
  const OptimizerRow* onDevice() const { return table(rows_.data(), rows_.size()); }

  // One launch for all; nothing where there are no weights.
  template <class Numbers>
  void update(Kernel& kernel, const Numbers& numbers) const {
    if (rows_.empty()) return;
    const std::int64_t most = std::int64_t{8} * multiprocessors();
    launch(kernel, chunks_ < most ? chunks_ : most, chunkThreads,
           OptimizerParams<Numbers>{onDevice(), static_cast<int>(rows_.size()), chunks_, numbers});
  }

 private:
  std::vector<OptimizerRow> rows_;
  std::int64_t chunks_ = 0;
  int slots_ = 0;
};

// Args: of sgd, or of an op that contains its step.
template <class Args>
SgdNumbers sgdNumbers(const Args& a) {
  return {live(a.lr), live(a.momentum), live(a.weightDecay), a.nesterov};
}

// The same for adam; sets what depends on each tensor's step number.
template <class Args>
AdamNumbers adamNumbers(const Args& a, OptimizerRows& rows) {
  for (std::size_t i = 0; i < a.w.size(); i++) {
    const auto step = static_cast<double>(a.step[i]);
    rows[i].minusRate = static_cast<float>(-a.lr / (1.0 - std::pow(a.beta1, step)));
    rows[i].inverseRoot = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(a.beta2, step)));
  }
  AdamNumbers n;
  n.beta1 = live(a.beta1);
  n.fresh1 = live(1.0 - a.beta1);
  n.beta2 = live(a.beta2);
  n.fresh2 = live(1.0 - a.beta2);
  n.eps = live(a.eps);
  n.shrink = live(a.decoupled ? 1.0 - a.lr * a.weightDecay : 1.0);
  n.decay = live(a.weightDecay);
  n.decoupled = a.decoupled;
  return n;
}

}  // namespace secateur::cuda
