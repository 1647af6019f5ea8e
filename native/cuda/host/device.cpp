#include "host/device.h"

#include "core/error.h"
#include "host/indices.h"

namespace secateur::cuda {

namespace {

// The images hold code for Ampere and what came after it.
constexpr int oldestCapability = 80;

}  // namespace

Gpu& Gpu::get() {
  // Never destroyed: at the end of the process the driver may be gone already, and it frees everything itself.
  static Gpu& instance = *new Gpu();
  return instance;
}

Gpu::Gpu() {
  const Driver& d = driver();
  check(d.deviceGet(&device_, 0), "cuDeviceGet");
  char name[256] = {};
  check(d.deviceGetName(name, sizeof(name), device_), "cuDeviceGetName");
  name_ = name;
  capability_ = attribute(attributeMajor) * 10 + attribute(attributeMinor);
  if (capability_ < oldestCapability) {
    throw Error("ERR_CUDA_UNAVAILABLE", name_ + " has compute capability " + std::to_string(capability_ / 10) + "." +
                                            std::to_string(capability_ % 10) +
                                            "; needs 8.0 (Ampere) or later. Use device 'cpu'.");
  }
  multiprocessors_ = attribute(attributeMultiprocessors);
  sharedBytesOptin_ = attribute(attributeMaxSharedMemoryOptin);
  l2Bytes_ = static_cast<std::size_t>(attribute(attributeL2Bytes));
  check(d.deviceTotalMem(&memoryBytes_, device_), "cuDeviceTotalMem");
  check(d.primaryContextRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  makeCurrent();
  check(d.streamCreate(&stream_, streamNonBlocking), "cuStreamCreate");
}

int Gpu::attribute(DeviceAttribute which) const {
  int value = 0;
  check(driver().deviceGetAttribute(&value, which, device_), "cuDeviceGetAttribute");
  return value;
}

void Gpu::makeCurrent() const {
  thread_local bool current = false;
  if (current) return;
  check(driver().contextSetCurrent(context_), "cuCtxSetCurrent");
  current = true;
}

void Gpu::synchronize() const {
  check(driver().streamSynchronize(stream_), "waiting for the GPU");
  raiseIndexReports();
}

}  // namespace secateur::cuda
