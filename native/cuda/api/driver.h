// The CUDA driver API, as much of it as is used, bound at run time from libcuda.so.1. Own declarations, so that a build
// needs no vendor header; test/native/vendor compares them with the vendor's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace secateur::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphExec = struct CUgraphExec_st*;
using CUgraphNode = struct CUgraphNode_st*;

// Values of the enumerations above that are used by name.
enum : CUresult {
  cudaSuccess = 0,
  cudaOutOfMemory = 2,
  cudaNoDevice = 100,
  cudaEccUncorrectable = 214,
  cudaIllegalAddress = 700,
  cudaLaunchTimeout = 702,
  cudaAssert = 710,
  cudaHardwareStackError = 714,
  cudaMisalignedAddress = 716,
  cudaLaunchFailed = 719
};
enum DeviceAttribute : int {
  attributeMaxSharedMemoryOptin = 97,
  attributeMultiprocessors = 16,
  attributeL2Bytes = 38,
  attributeMajor = 75,
  attributeMinor = 76,
  attributeClockKHz = 13,
  attributeMemoryClockKHz = 36,
  attributeMemoryBusBits = 37
};
constexpr unsigned streamNonBlocking = 1;
constexpr unsigned eventDisableTiming = 2;
constexpr int functionMaxDynamicShared = 8;
constexpr int functionRegisters = 4;
constexpr int functionLocalBytes = 3;
constexpr int functionSharedBytes = 1;
constexpr int captureRelaxed = 2;

// X(entry point as the library exports it, member, parameters).
#define SECATEUR_CUDA_DRIVER(X)                                                                                   \
  X(cuInit, init, (unsigned flags))                                                                               \
  X(cuDriverGetVersion, driverGetVersion, (int* version))                                                         \
  X(cuDeviceGetCount, deviceGetCount, (int* count))                                                               \
  X(cuDeviceGet, deviceGet, (CUdevice * device, int ordinal))                                                     \
  X(cuDeviceGetName, deviceGetName, (char* name, int length, CUdevice device))                                    \
  X(cuDeviceGetAttribute, deviceGetAttribute, (int* value, int attribute, CUdevice device))                       \
  X(cuDeviceTotalMem_v2, deviceTotalMem, (std::size_t * bytes, CUdevice device))                                  \
  X(cuDevicePrimaryCtxRetain, primaryContextRetain, (CUcontext * context, CUdevice device))                       \
  X(cuDevicePrimaryCtxRelease_v2, primaryContextRelease, (CUdevice device))                                       \
  X(cuCtxSetCurrent, contextSetCurrent, (CUcontext context))                                                      \
  X(cuModuleLoadData, moduleLoadData, (CUmodule * module, const void* image))                                     \
  X(cuModuleGetFunction, moduleGetFunction, (CUfunction * function, CUmodule module, const char* name))           \
  X(cuFuncGetAttribute, functionGetAttribute, (int* value, int attribute, CUfunction function))                   \
  X(cuFuncGetParamInfo, functionGetParamInfo,                                                                     \
    (CUfunction function, std::size_t index, std::size_t * offset, std::size_t * bytes))                          \
  X(cuFuncSetAttribute, functionSetAttribute, (CUfunction function, int attribute, int value))                    \
  X(cuOccupancyMaxActiveBlocksPerMultiprocessor, occupancyBlocks,                                                 \
    (int* blocks, CUfunction function, int threads, std::size_t sharedBytes))                                     \
  X(cuLaunchKernel, launchKernel,                                                                                 \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,       \
     unsigned blockZ, unsigned sharedBytes, CUstream stream, void** parameters, void** extra))                    \
  X(cuMemAlloc_v2, memoryAllocate, (CUdeviceptr * data, std::size_t bytes))                                       \
  X(cuMemFree_v2, memoryFree, (CUdeviceptr data))                                                                 \
  X(cuMemGetInfo_v2, memoryGetInfo, (std::size_t * free, std::size_t * total))                                    \
  X(cuMemHostAlloc, memoryHostAllocate, (void** data, std::size_t bytes, unsigned flags))                         \
  X(cuMemFreeHost, memoryFreeHost, (void* data))                                                                  \
  X(cuMemcpyHtoDAsync_v2, copyToDevice, (CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream))   \
  X(cuMemcpyDtoHAsync_v2, copyToHost, (void* to, CUdeviceptr from, std::size_t bytes, CUstream stream))           \
  X(cuMemcpyDtoDAsync_v2, copyOnDevice, (CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream))   \
  X(cuMemsetD8Async, fillBytes, (CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream stream))        \
  X(cuStreamCreate, streamCreate, (CUstream * stream, unsigned flags))                                            \
  X(cuStreamDestroy_v2, streamDestroy, (CUstream stream))                                                         \
  X(cuStreamSynchronize, streamSynchronize, (CUstream stream))                                                    \
  X(cuStreamBeginCapture_v2, streamBeginCapture, (CUstream stream, int mode))                                     \
  X(cuStreamEndCapture, streamEndCapture, (CUstream stream, CUgraph * graph))                                     \
  X(cuGraphInstantiateWithFlags, graphInstantiate, (CUgraphExec * exec, CUgraph graph, unsigned long long flags)) \
  X(cuGraphLaunch, graphLaunch, (CUgraphExec exec, CUstream stream))                                              \
  X(cuGraphExecDestroy, graphExecDestroy, (CUgraphExec exec))                                                     \
  X(cuGraphDestroy, graphDestroy, (CUgraph graph))                                                                \
  X(cuGraphGetNodes, graphGetNodes, (CUgraph graph, CUgraphNode * nodes, std::size_t * count))                    \
  X(cuEventCreate, eventCreate, (CUevent * event, unsigned flags))                                                \
  X(cuEventRecord, eventRecord, (CUevent event, CUstream stream))                                                 \
  X(cuEventQuery, eventQuery, (CUevent event))                                                                    \
  X(cuEventSynchronize, eventSynchronize, (CUevent event))                                                        \
  X(cuEventElapsedTime_v2, eventElapsedTime, (float* milliseconds, CUevent start, CUevent end))                   \
  X(cuEventDestroy_v2, eventDestroy, (CUevent event))                                                             \
  X(cuGetErrorName, getErrorName, (CUresult error, const char** name))                                            \
  X(cuGetErrorString, getErrorString, (CUresult error, const char** text))

struct Driver {
#define SECATEUR_MEMBER(symbol, member, parameters) CUresult(*member) parameters = nullptr;
  SECATEUR_CUDA_DRIVER(SECATEUR_MEMBER)
#undef SECATEUR_MEMBER
  int version = 0;
};

// Opens and binds the driver library once. Throws ERR_CUDA_UNAVAILABLE saying what was tried.
const Driver& driver();

// Throws ERR_OOM, or ERR_CUDA with the driver's name for the error; `what` was being done. A fault that ends the
// context is remembered: see `lost`.
void check(CUresult result, const char* what);

// What ended the context, or an empty string while it lives.
const std::string& lost();

}  // namespace secateur::cuda
