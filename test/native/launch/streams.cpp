// streams [dropped]: a program with work on two streams and in the host, each waiting for the other by events; with
// `dropped`, without the waits. Says for each part whether what came out is right.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "api/driver.h"

namespace {

using namespace secateur::cuda;

constexpr std::size_t bytes = 64;

CUstream newStream() {
  CUstream stream = nullptr;
  check(driver().streamCreate(&stream, streamNonBlocking), "a stream");
  return stream;
}

void waitEvent(CUstream stream, CUevent event) {
  // The backend has one stream and does not need this.
  static void* const library = dlopen(std::getenv("SECATEUR_LIBCUDA"), RTLD_NOW | RTLD_NOLOAD);
  using Wait = CUresult (*)(CUstream, CUevent, unsigned);
  check(reinterpret_cast<Wait>(dlsym(library, "cuStreamWaitEvent"))(stream, event, 0), "cuStreamWaitEvent");
}

void say(const char* what, CUdeviceptr data, CUstream stream, char wanted) {
  std::vector<char> got(bytes);
  check(driver().copyToHost(got.data(), data, bytes, stream), "copying back");
  check(driver().streamSynchronize(stream), "waiting");
  std::printf("%s: %s\n", what, got == std::vector<char>(bytes, wanted) ? "right" : "wrong");
}

void run(bool waits) {
  const Driver& d = driver();
  CUdevice device = 0;
  CUcontext context = nullptr;
  check(d.deviceGet(&device, 0), "the device");
  check(d.primaryContextRetain(&context, device), "its context");
  check(d.contextSetCurrent(context), "its context");
  CUdeviceptr a = 0, b = 0;
  check(d.memoryAllocate(&a, bytes), "memory");
  check(d.memoryAllocate(&b, bytes), "memory");
  CUevent event = nullptr;
  check(d.eventCreate(&event, eventDisableTiming), "an event");
  const CUstream one = newStream(), two = newStream();

  check(d.fillBytes(a, 1, bytes, one), "filling");
  check(d.eventRecord(event, one), "cuEventRecord");
  if (waits) waitEvent(two, event);
  check(d.copyOnDevice(b, a, bytes, two), "copying");
  say("a stream after another", b, two, 1);

  void* host = nullptr;
  check(d.memoryHostAllocate(&host, bytes, 0), "page-locked memory");
  std::memset(host, 2, bytes);
  check(d.copyToDevice(a, host, bytes, one), "copying");
  check(d.eventRecord(event, one), "cuEventRecord");
  if (waits) check(d.eventSynchronize(event), "cuEventSynchronize");
  std::memset(host, 3, bytes);
  say("the host after a stream", a, one, 2);

  std::vector<char> pageable(bytes, 4);
  check(d.copyToDevice(a, pageable.data(), bytes, one), "copying");
  std::memset(pageable.data(), 5, bytes);
  say("memory that is not page-locked needs no wait", a, one, 4);
}

}  // namespace

int main(int count, char** words) {
  try {
    run(count < 2 || std::string(words[1]) != "dropped");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "streams: %s\n", error.what());
    return 1;
  }
  return 0;
}
