#include "api/driver.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "core/error.h"

namespace secateur::cuda {

namespace {

// CUDA 13, and so a driver of the 580 series or later.
constexpr int oldestDriver = 13000;

constexpr const char* noGpu = "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES may hide it). Use device 'cpu'.";

// Why the device is lost: written once, by the thread that meets it first, and read by all.
std::string lostBecause;
std::once_flag noted;
std::atomic<bool> isLost{false};

void noteLoss(const std::string& why) {
  std::call_once(noted, [&] {
    lostBecause = why;
    isLost.store(true, std::memory_order_release);
  });
}

// Errors after which the context answers every call with the same error: faults of kernels and of the hardware.
bool endsContext(CUresult result) {
  return result == cudaEccUncorrectable || result == cudaIllegalAddress || result == cudaLaunchTimeout ||
         result == cudaAssert || (result >= cudaHardwareStackError && result <= cudaLaunchFailed);
}

[[noreturn]] void unavailable(const std::string& why) { throw Error("ERR_CUDA_UNAVAILABLE", why); }

std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

Driver open() {
  // SECATEUR_LIBCUDA names another file: a stub, a debugging layer, a simulator.
  const char* named = std::getenv("SECATEUR_LIBCUDA");
  const std::string path = named != nullptr && *named != '\0' ? named : "libcuda.so.1";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    unavailable("there is no NVIDIA driver: " + std::string(dlerror()) +
                ". Install the NVIDIA driver (580 or later), or use device 'cpu'.");
  }
  Driver d;
#define SECATEUR_BIND(symbol, member, parameters)                                                     \
  d.member = reinterpret_cast<CUresult(*) parameters>(dlsym(library, #symbol));                       \
  if (d.member == nullptr) {                                                                          \
    unavailable(path + " has no " #symbol ": the driver is too old. Needs the 580 series or later."); \
  }
  SECATEUR_CUDA_DRIVER(SECATEUR_BIND)
#undef SECATEUR_BIND
  const CUresult started = d.init(0);
  if (started == cudaNoDevice) unavailable(noGpu);
  if (started != cudaSuccess) {
    const char* text = nullptr;
    d.getErrorString(started, &text);
    unavailable("the NVIDIA driver does not start: error " + std::to_string(started) + " (" +
                (text == nullptr ? "unknown" : text) + "). `nvidia-smi` may say more; or use device 'cpu'.");
  }
  d.driverGetVersion(&d.version);
  if (d.version < oldestDriver) {
    unavailable("the NVIDIA driver supports CUDA " + versionText(d.version) + "; needs " + versionText(oldestDriver) +
                " (driver 580 or later). Update the driver, or use device 'cpu'.");
  }
  int devices = 0;
  if (d.deviceGetCount(&devices) != cudaSuccess || devices == 0) unavailable(noGpu);
  return d;
}

}  // namespace

const Driver& driver() {
  static const Driver instance = open();
  return instance;
}

const std::string& lost() {
  static const std::string works;
  return isLost.load(std::memory_order_acquire) ? lostBecause : works;
}

void check(CUresult result, const char* what) {
  if (result == cudaSuccess) return;
  const char* name = nullptr;
  const char* text = nullptr;
  driver().getErrorName(result, &name);
  driver().getErrorString(result, &text);
  const std::string error = std::string(name == nullptr ? "unknown error" : name) + " (" + std::to_string(result) +
                            (text == nullptr ? "" : ", " + std::string(text)) + ")";
  if (result == cudaOutOfMemory) throw Error("ERR_OOM", std::string(what) + ": " + error);
  if (endsContext(result)) {
    // The context is gone with all its memory; nothing on this device can work any more.
    noteLoss(std::string(what) + ": " + error);
    throw Error("ERR_CUDA", std::string(what) + ": " + error +
                                ". The device cuda:0 is lost to this process: restart it to use the GPU again; device "
                                "'cpu' works on. SECATEUR_SYNC=1 names the op exactly.");
  }
  throw Error("ERR_CUDA", std::string(what) + ": " + error + ".");
}

}  // namespace secateur::cuda
