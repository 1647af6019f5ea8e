// native/cuda/api/nccl.h against the vendor's header. Compiling is the test.
#include "api/nccl.h"

#include <nccl.h>

#include "sameSignature.h"

namespace ours = secateur::cuda;

#define SECATEUR_CHECK(result, symbol, member, parameters)                                   \
  static_assert(vendorCheck::Same<decltype(ours::Nccl::member), decltype(&::symbol)>::value, \
                #symbol " is declared as the vendor declares it");
SECATEUR_NCCL(SECATEUR_CHECK)

static_assert(sizeof(ours::NcclUniqueId) == sizeof(ncclUniqueId), "identifier of a group");
static_assert(ours::ncclDone == ncclSuccess, "success");
static_assert(ours::ncclI32 == ncclInt32 && ours::ncclF32 == ncclFloat32 && ours::ncclBf16 == ncclBfloat16, "types");
static_assert(ours::ncclAdd == ncclSum && ours::ncclMultiply == ncclProd && ours::ncclLargest == ncclMax &&
                  ours::ncclSmallest == ncclMin && ours::ncclMean == ncclAvg,
              "operations");
