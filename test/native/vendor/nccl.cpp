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
