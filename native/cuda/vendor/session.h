// cuDNN on the device in use: its handle, and the plans made so far.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "vendor/plan.h"
#include "vendor/recent.h"

namespace secateur::cuda::dnn {

class Session {
 public:
  // Null when cuDNN is not there or does not start.
  static Session* get();
  explicit Session(DnnHandle handle) : handle_(handle), target_(handle) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() = default;

  // Queues the graph of this shape on the device's stream; false when cuDNN has no plan for it.
  template <class Shape>
  bool run(const Shape& shape, const Memory& memory) {
    return runPlan(plans_.get(shape.key(), [&] { return planOf(shape); }), memory);
  }

 private:
  using PlanPointer = std::shared_ptr<const Plan>;

  template <class Shape>
  PlanPointer planOf(const Shape& shape) const {
    try {
      return std::make_shared<const Plan>(Graph(shape), target_, termsOf(shape));
    } catch (const Unsupported&) {
      return nullptr;  // remembered, so that it is not looked for again
    }
  }
  bool runPlan(const PlanPointer& plan, const Memory& memory);

  DnnHandle handle_;
  Target target_;
  Recent<PlanPointer> plans_{1000};
  // A captured step holds the kernels of its plans, which must not be unloaded.
  std::vector<PlanPointer> captured_;
};

}  // namespace secateur::cuda::dnn
