#include "vendor/session.h"

#include "host/launch.h"
#include "host/live.h"

namespace secateur::cuda::dnn {

namespace {

std::unique_ptr<Session> start() {
  if (!cudnn().library.available()) return nullptr;
  DnnHandle handle = nullptr;
  try {
    check(cudnn().table.create(&handle), "cudnnCreate");
    check(cudnn().table.setStream(handle, stream()), "cudnnSetStream");
    return std::make_unique<Session>(handle);
  } catch (const Unsupported&) {
    return nullptr;  // a device that this version does not know
  }
}

// Numbers that cuDNN reads on the host.
bool isValue(TensorNumber number) {
  return number == numberScale || number == numberLowest || number == numberOne || number == numberEps ||
         number == numberMomentum;
}

}  // namespace

Session* Session::get() {
  // Never destroyed, as the device.
  static const auto& instance = *new std::unique_ptr<Session>(start());
  return instance.get();
}

bool Session::runPlan(const PlanPointer& plan, const Memory& memory) {
  if (plan == nullptr) return false;
  for (const auto& [number, data] : memory)
    if (!isValue(number) && reinterpret_cast<std::uintptr_t>(data) % tensorAlignment != 0) return false;
  void* workspace = plan->workspaceBytes() == 0 ? nullptr : scratchBytes(plan->workspaceBytes());
  if (liveMode() == LiveMode::refresh) return true;
  if (liveMode() == LiveMode::capture) captured_.push_back(plan);
  plan->run(handle_, memory, workspace);
  return true;
}

}  // namespace secateur::cuda::dnn
