// Values between JavaScript's typed arrays and tensors.
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "core/kernel.h"
#include "cpu/vecmath.h"
#include "napi/decoder.h"
#include "napi/entries.h"

namespace secateur {
namespace {

struct HostArray {
  char* data;
  std::size_t bytes;
};

HostArray hostArray(const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Error("ERR_ARGUMENT", "needs a typed array.");
  const auto array = value.As<Napi::TypedArray>();
  return {static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

// Copies `n` elements, converting between f32 and bf16 where the two sides differ.
void convert(void* to, DType toType, const void* from, DType fromType, std::size_t n) {
  if (n == 0) return;
  if (toType == fromType) {
    std::memcpy(to, from, n * bytesOf(toType));
  } else if (toType == DType::bf16 && fromType == DType::f32) {
    for (std::size_t i = 0; i < n; i++)
      static_cast<bf16*>(to)[i] = baseline::toBf16(static_cast<const float*>(from)[i]);
  } else if (toType == DType::f32 && fromType == DType::bf16) {
    for (std::size_t i = 0; i < n; i++)
      static_cast<float*>(to)[i] = baseline::toFloat(static_cast<const bf16*>(from)[i]);
  } else {
    throw Error("ERR_DTYPE", "the host array's element type does not fit the tensor's dtype.");
  }
}

DType dtypeArgument(const Napi::Value& value) {
  const std::uint32_t code = value.As<Napi::Number>().Uint32Value();
  if (code > 3) throw Error("ERR_DTYPE", "unknown dtype code.");
  return static_cast<DType>(code);
}

void checkLength(const HostArray& host, DType type, const View& v) {
  if (host.bytes != static_cast<std::size_t>(v.size()) * bytesOf(type)) {
    throw Error("ERR_SHAPE_MISMATCH", "the host array has " + std::to_string(host.bytes / bytesOf(type)) +
                                          " elements, the tensor " + std::to_string(v.size()) + ".");
  }
}

}  // namespace

// A new tensor from a typed array; extents in the block. One copy, no wait: on the CPU into memory that no queued
// kernel still uses, for the GPU into page-locked memory that the copy starts from.
Napi::Value upload(const Napi::CallbackInfo& info) {
  const HostArray host = hostArray(info[0]);
  View v;
  v.dtype = dtypeArgument(info[1]);
  const DType from = dtypeArgument(info[2]);
  Device& device = deviceArgument(info[3]);
  Decoder(block, blockLength, device).dims(v);
  checkLength(host, from, v);
  const std::size_t bytes = static_cast<std::size_t>(v.size()) * bytesOf(v.dtype);
  auto storage = std::make_shared<Storage>(device, bytes, true);
  device.upload(storage->data(), bytes, true,
                [&](void* to) { convert(to, v.dtype, host.data, from, static_cast<std::size_t>(v.size())); });
  return Napi::Number::New(info.Env(), handles().create(std::move(storage), 0, v));
}

// Overwrites a tensor in place, after what was queued before has read it.
Napi::Value write(const Napi::CallbackInfo& info) {
  const Handle handle = info[0].As<Napi::Number>().Uint32Value();
  const View& v = handles().view(handle);
  const HostArray host = hostArray(info[1]);
  const DType from = dtypeArgument(info[2]);
  checkLength(host, from, v);
  const auto size = static_cast<std::size_t>(v.size());
  handles().written(handle);
  handles().device(handle).upload(v.data, size * bytesOf(v.dtype), false,
                                  [&](void* to) { convert(to, v.dtype, host.data, from, size); });
  return info.Env().Undefined();
}

Napi::Value download(const Napi::CallbackInfo& info) {
  const Handle handle = info[0].As<Napi::Number>().Uint32Value();
  const View& v = handles().view(handle);
  const HostArray host = hostArray(info[1]);
  const DType to = dtypeArgument(info[2]);
  checkLength(host, to, v);
  const auto size = static_cast<std::size_t>(v.size());
  handles().device(handle).download(v.data, size * bytesOf(v.dtype),
                                    [&](const void* from) { convert(host.data, to, from, v.dtype, size); });
  return info.Env().Undefined();
}

}  // namespace secateur
