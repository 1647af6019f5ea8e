// Entry points of the GPU: opening it, and steps that are captured and replayed.
#include <vector>

#include "core/backend.h"
#include "core/cudaDevice.h"
#include "core/error.h"
#include "napi/entries.h"

namespace secateur {

// Needs the backend library, but no GPU.
Napi::Value cudaKernels(const Napi::CallbackInfo& info) {
  return kernelList(info.Env(), cudaBackend().kernelsBegin(), cudaBackend().kernelsEnd());
}

Napi::Value cudaOpen(const Napi::CallbackInfo& info) {
  openCuda();
  return info.Env().Undefined();
}

Napi::Value cudaDescribe(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), cudaBackend().describe());
}

Napi::Value captureBegin(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), openCuda().beginCapture());
}

Napi::Value captureEnd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(openCuda().endCapture()));
}

// New numbers for some calls, in the block; their count is the second argument.
Napi::Value replay(const Napi::CallbackInfo& info) {
  const std::uint32_t length = info[1].As<Napi::Number>().Uint32Value();
  if (length > blockLength) throw Error("ERR_ARGUMENT", "too many numbers change in this captured step.");
  openCuda().replay(info[0].As<Napi::Number>().Uint32Value(), std::vector<double>(block, block + length));
  return info.Env().Undefined();
}

Napi::Value captureRelease(const Napi::CallbackInfo& info) {
  openCuda().releaseGraph(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

}  // namespace secateur
