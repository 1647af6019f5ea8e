// native/cuda/api/cublasLt.h against the vendor's header. Compiling is the test.
#include "api/cublasLt.h"

#include <cublasLt.h>

#include <cstddef>

#include "sameSignature.h"

namespace ours = secateur::cuda;

#define SECATEUR_CHECK(result, symbol, member, parameters)                                     \
  static_assert(vendorCheck::Same<decltype(ours::BlasLt::member), decltype(&::symbol)>::value, \
                #symbol " is declared as the vendor declares it");
SECATEUR_CUBLASLT(SECATEUR_CHECK)

#define SECATEUR_CHECK_VALUE(vendor, name, value) static_assert(int{vendor} == value, #vendor);
SECATEUR_CUBLASLT_VALUES(SECATEUR_CHECK_VALUE)

static_assert(sizeof(ours::BlasLtAlgorithm) == sizeof(cublasLtMatmulAlgo_t), "algorithm");
static_assert(sizeof(ours::BlasLtChoice) == sizeof(cublasLtMatmulHeuristicResult_t), "choice");
static_assert(offsetof(ours::BlasLtChoice, workspaceBytes) ==
                      offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize) &&
                  offsetof(ours::BlasLtChoice, status) == offsetof(cublasLtMatmulHeuristicResult_t, state),
              "members of a choice");
