// NCCL, as much of it as training on several GPUs needs, bound at run time from libnccl.so.2. Own declarations, so that
// a build needs no vendor header; test/native/vendor compares them with the vendor's.
#pragma once
#include <cstddef>

#include "api/driver.h"
#include "api/library.h"

namespace secateur::cuda {

using NcclCommunicator = struct ncclComm*;
struct NcclUniqueId {
  char internal[128];
};
constexpr int ncclDone = 0;
constexpr int ncclI32 = 2, ncclF32 = 7, ncclBf16 = 9;
constexpr int ncclAdd = 0, ncclMultiply = 1, ncclLargest = 2, ncclSmallest = 3, ncclMean = 4;

// X(result, entry point, member, parameters).
#define SECATEUR_NCCL(X)                                                                                          \
  X(int, ncclGetVersion, getVersion, (int* version))                                                              \
  X(const char*, ncclGetErrorString, getErrorString, (int result))                                                \
  X(int, ncclGetUniqueId, getUniqueId, (NcclUniqueId * id))                                                       \
  X(int, ncclCommInitRank, commInitRank, (NcclCommunicator * communicator, int ranks, NcclUniqueId id, int rank)) \
  X(int, ncclCommDestroy, commDestroy, (NcclCommunicator communicator))                                           \
  X(int, ncclAllReduce, allReduce,                                                                                \
    (const void* from, void* to, std::size_t count, int dtype, int operation, NcclCommunicator communicator,      \
     CUstream stream))                                                                                            \
  X(int, ncclBroadcast, broadcast,                                                                                \
    (const void* from, void* to, std::size_t count, int dtype, int root, NcclCommunicator communicator,           \
     CUstream stream))                                                                                            \
  X(int, ncclGroupStart, groupStart, ())                                                                          \
  X(int, ncclGroupEnd, groupEnd, ())

struct Nccl {
  SECATEUR_NCCL(SECATEUR_ENTRY_MEMBER)
};

// Looked for at the first call.
const Bound<Nccl>& nccl();

}  // namespace secateur::cuda
