// What the files of the addon share: the argument block, and the entry points that stand in files of their own.
#pragma once
#include <cstddef>

#define NAPI_VERSION 8
#include <napi.h>

#include "core/device.h"
#include "core/kernel.h"

namespace secateur {

// Arguments travel in one array of doubles that JavaScript sees too.
constexpr std::size_t blockLength = std::size_t{1} << 16;
extern double* block;

// The device whose number JavaScript passed.
Device& deviceArgument(const Napi::Value& value);
Napi::Array kernelList(Napi::Env env, const KernelRecord* begin, const KernelRecord* end);

// transfer.cpp: values between JavaScript's arrays and tensors
Napi::Value upload(const Napi::CallbackInfo& info);
Napi::Value write(const Napi::CallbackInfo& info);
Napi::Value download(const Napi::CallbackInfo& info);

// cuda.cpp: the GPU
Napi::Value cudaKernels(const Napi::CallbackInfo& info);
Napi::Value cudaOpen(const Napi::CallbackInfo& info);
Napi::Value cudaDescribe(const Napi::CallbackInfo& info);
Napi::Value captureBegin(const Napi::CallbackInfo& info);
Napi::Value captureEnd(const Napi::CallbackInfo& info);
Napi::Value replay(const Napi::CallbackInfo& info);
Napi::Value captureRelease(const Napi::CallbackInfo& info);

}  // namespace secateur
