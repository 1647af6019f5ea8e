// native/cuda/api/driver.h against the toolkit's cuda.h. Compiling is the test.
#include "api/driver.h"

#include <cuda.h>

#include "sameSignature.h"

namespace ours = secateur::cuda;

#define SECATEUR_CHECK(symbol, member, parameters)                                             \
  static_assert(vendorCheck::Same<decltype(ours::Driver::member), decltype(&::symbol)>::value, \
                #symbol " is declared as cuda.h declares it");
SECATEUR_CUDA_DRIVER(SECATEUR_CHECK)

static_assert(sizeof(ours::CUresult) == sizeof(::CUresult) && sizeof(ours::CUdevice) == sizeof(::CUdevice), "numbers");
static_assert(sizeof(ours::CUdeviceptr) == sizeof(::CUdeviceptr), "addresses");
static_assert(int{ours::cudaSuccess} == int{CUDA_SUCCESS}, "success");
static_assert(int{ours::cudaOutOfMemory} == int{CUDA_ERROR_OUT_OF_MEMORY}, "out of memory");
static_assert(int{ours::cudaNoDevice} == int{CUDA_ERROR_NO_DEVICE}, "no device");
static_assert(int{ours::cudaMisalignedAddress} == int{CUDA_ERROR_MISALIGNED_ADDRESS}, "misaligned address");
static_assert(int{ours::cudaIllegalAddress} == int{CUDA_ERROR_ILLEGAL_ADDRESS}, "illegal address");
static_assert(int{ours::cudaLaunchFailed} == int{CUDA_ERROR_LAUNCH_FAILED}, "launch failed");
static_assert(int{ours::attributeMaxSharedMemoryOptin} == int{CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN},
              "shared memory a block");
static_assert(int{ours::attributeMultiprocessors} == int{CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT}, "multiprocessors");
static_assert(int{ours::attributeL2Bytes} == int{CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE}, "L2 cache");
static_assert(int{ours::attributeMajor} == int{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR}, "capability");
static_assert(int{ours::attributeMinor} == int{CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR}, "capability");
static_assert(int{ours::attributeClockKHz} == int{CU_DEVICE_ATTRIBUTE_CLOCK_RATE}, "clock");
static_assert(int{ours::attributeMemoryClockKHz} == int{CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE}, "memory clock");
static_assert(int{ours::attributeMemoryBusBits} == int{CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH}, "bus width");
static_assert(ours::streamNonBlocking == unsigned{CU_STREAM_NON_BLOCKING}, "stream flag");
static_assert(ours::eventDisableTiming == unsigned{CU_EVENT_DISABLE_TIMING}, "event flag");
static_assert(ours::functionMaxDynamicShared == int{CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES}, "function");
static_assert(ours::functionRegisters == int{CU_FUNC_ATTRIBUTE_NUM_REGS}, "function");
static_assert(ours::functionLocalBytes == int{CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES}, "function");
static_assert(ours::functionSharedBytes == int{CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES}, "function");
static_assert(ours::captureRelaxed == int{CU_STREAM_CAPTURE_MODE_RELAXED}, "capture");
