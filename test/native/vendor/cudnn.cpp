// native/cuda/api/cudnn.h against the vendor's header. Compiling is the test.
#include "api/cudnn.h"

#include <cudnn_graph.h>

#include "sameSignature.h"

namespace ours = secateur::cuda;

#define SECATEUR_CHECK(result, symbol, member, parameters)                                    \
  static_assert(vendorCheck::Same<decltype(ours::Cudnn::member), decltype(&::symbol)>::value, \
                #symbol " is declared as the vendor declares it");
SECATEUR_CUDNN(SECATEUR_CHECK)

#define SECATEUR_CHECK_VALUE(vendor, name, value) static_assert(int{vendor} == value, #vendor);
SECATEUR_CUDNN_STATUSES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_DESCRIPTORS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_ATTRIBUTES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_KINDS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_DATA_TYPES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_CONVOLUTION_MODES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_POINTWISE_MODES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_REDUCTIONS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_NORMS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_NORM_PHASES(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_NANS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_HEURISTICS(SECATEUR_CHECK_VALUE)
SECATEUR_CUDNN_NOTES(SECATEUR_CHECK_VALUE)

static_assert(sizeof(ours::DnnHandle) == sizeof(cudnnHandle_t), "handles");
static_assert(sizeof(ours::DnnDescriptor) == sizeof(cudnnBackendDescriptor_t), "descriptors");
