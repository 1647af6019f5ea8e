// cuDNN's graph interface, as much of it as is used, bound at run time from libcudnn.so.9. Own declarations, so that a
// build needs no vendor header; test/native/vendor compares them with the vendor's.
#pragma once
#include <cstddef>
#include <cstdint>

#include "api/driver.h"
#include "api/library.h"

namespace secateur::cuda {

using DnnHandle = struct cudnnContext*;
using DnnDescriptor = void*;

// X(vendor's name, name here, value): the enumerators that are used, one list a meaning.
#define SECATEUR_CUDNN_STATUSES(X)              \
  X(CUDNN_STATUS_SUCCESS, success, 0)           \
  X(CUDNN_STATUS_BAD_PARAM, badParameter, 2000) \
  X(CUDNN_STATUS_NOT_SUPPORTED, notSupported, 3000)

#define SECATEUR_CUDNN_DESCRIPTORS(X)                                                          \
  X(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, pointwise, 0)                                          \
  X(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, convolution, 1)                                      \
  X(CUDNN_BACKEND_ENGINE_DESCRIPTOR, engine, 2)                                                \
  X(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, engineConfig, 3)                                       \
  X(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, heuristics, 4)                                        \
  X(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan, 5)                                          \
  X(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, convolutionForward, 10)            \
  X(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, convolutionGradWeight, 11) \
  X(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, convolutionGradInput, 12)    \
  X(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operationPointwise, 13)                      \
  X(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, operationGraph, 15)                               \
  X(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, variantPack, 16)                                    \
  X(CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor, 17)                                               \
  X(CUDNN_BACKEND_MATMUL_DESCRIPTOR, matmul, 18)                                               \
  X(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, operationMatmul, 19)                            \
  X(CUDNN_BACKEND_REDUCTION_DESCRIPTOR, reduction, 21)                                         \
  X(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, operationReduction, 22)                      \
  X(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, norm, 29)                                 \
  X(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, normGrad, 30)                            \
  X(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, operationReshape, 31)                          \
  X(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, deviceProperties, 38)

#define SECATEUR_CUDNN_ATTRIBUTES(X)                                                   \
  X(CUDNN_ATTR_POINTWISE_MODE, pointwiseMode, 0)                                       \
  X(CUDNN_ATTR_POINTWISE_MATH_PREC, pointwisePrecision, 1)                             \
  X(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, pointwiseNan, 2)                             \
  X(CUDNN_ATTR_POINTWISE_AXIS, pointwiseAxis, 9)                                       \
  X(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, convolutionPrecision, 100)                       \
  X(CUDNN_ATTR_CONVOLUTION_CONV_MODE, convolutionMode, 101)                            \
  X(CUDNN_ATTR_CONVOLUTION_DILATIONS, convolutionDilations, 102)                       \
  X(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, convolutionStrides, 103)                    \
  X(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, convolutionPaddingAfter, 104)                \
  X(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, convolutionPaddingBefore, 105)                \
  X(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, convolutionSpatialAxes, 106)                  \
  X(CUDNN_ATTR_ENGINEHEUR_MODE, heuristicsMode, 200)                                   \
  X(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, heuristicsGraph, 201)                       \
  X(CUDNN_ATTR_ENGINEHEUR_RESULTS, heuristicsResults, 202)                             \
  X(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, heuristicsDevice, 204)                           \
  X(CUDNN_ATTR_ENGINECFG_ENGINE, engineConfigEngine, 300)                              \
  X(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, planEngineConfig, 401)                    \
  X(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, planWorkspaceBytes, 402)                 \
  X(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, planDevice, 407)                             \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, forwardAlpha, 700)                 \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, forwardBeta, 701)                   \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, forwardConvolution, 702)       \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, forwardW, 703)                         \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, forwardX, 704)                         \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, forwardY, 705)                         \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, gradInputAlpha, 706)              \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, gradInputBeta, 707)                \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, gradInputConvolution, 708)    \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, gradInputW, 709)                      \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, gradInputDx, 710)                    \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, gradInputDy, 711)                    \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, gradWeightAlpha, 712)           \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, gradWeightBeta, 713)             \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, gradWeightConvolution, 714) \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, gradWeightDw, 715)                 \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, gradWeightX, 716)                   \
  X(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, gradWeightDy, 717)                 \
  X(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, operationPointwiseMode, 750)         \
  X(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, operationPointwiseX, 751)                    \
  X(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, operationPointwiseB, 752)                    \
  X(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, operationPointwiseY, 753)                    \
  X(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, operationPointwiseT, 758)                    \
  X(CUDNN_ATTR_OPERATIONGRAPH_OPS, graphOperations, 801)                               \
  X(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, tensorAlignment, 900)                            \
  X(CUDNN_ATTR_TENSOR_DATA_TYPE, tensorType, 901)                                      \
  X(CUDNN_ATTR_TENSOR_DIMENSIONS, tensorDimensions, 902)                               \
  X(CUDNN_ATTR_TENSOR_STRIDES, tensorStrides, 903)                                     \
  X(CUDNN_ATTR_TENSOR_UNIQUE_ID, tensorNumber, 906)                                    \
  X(CUDNN_ATTR_TENSOR_IS_VIRTUAL, tensorVirtual, 907)                                  \
  X(CUDNN_ATTR_TENSOR_IS_BY_VALUE, tensorByValue, 908)                                 \
  X(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, packNumbers, 1000)                             \
  X(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, packPointers, 1001)                         \
  X(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, packWorkspace, 1003)                            \
  X(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, engineNotes, 1303)                               \
  X(CUDNN_ATTR_MATMUL_COMP_TYPE, matmulPrecision, 1500)                                \
  X(CUDNN_ATTR_OPERATION_MATMUL_ADESC, operationMatmulA, 1520)                         \
  X(CUDNN_ATTR_OPERATION_MATMUL_BDESC, operationMatmulB, 1521)                         \
  X(CUDNN_ATTR_OPERATION_MATMUL_CDESC, operationMatmulC, 1522)                         \
  X(CUDNN_ATTR_OPERATION_MATMUL_DESC, operationMatmulHow, 1523)                        \
  X(CUDNN_ATTR_REDUCTION_OPERATOR, reductionOperator, 1600)                            \
  X(CUDNN_ATTR_REDUCTION_COMP_TYPE, reductionPrecision, 1601)                          \
  X(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, operationReductionX, 1610)                   \
  X(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, operationReductionY, 1611)                   \
  X(CUDNN_ATTR_OPERATION_REDUCTION_DESC, operationReductionHow, 1612)                  \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, normMode, 2000)                                \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, normPhase, 2001)                              \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, normX, 2002)                                  \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, normMean, 2003)                           \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, normRstd, 2004)                   \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, normWeight, 2005)                        \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, normBias, 2006)                           \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, normEps, 2007)                         \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, normMomentum, 2008)             \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC, normMeanBefore, 2009)       \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, normVarBefore, 2010)         \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, normMeanAfter, 2011)       \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, normVarAfter, 2012)         \
  X(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, normY, 2013)                                  \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, normGradMode, 2100)                            \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, normGradX, 2101)                              \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, normGradMean, 2102)                       \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, normGradRstd, 2103)               \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, normGradDy, 2104)                            \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, normGradWeight, 2105)                    \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, normGradDweight, 2107)                  \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, normGradDbias, 2108)                     \
  X(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, normGradDx, 2109)                            \
  X(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, reshapeX, 2200)                                \
  X(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, reshapeY, 2201)                                \
  X(CUDNN_ATTR_DEVICEPROP_HANDLE, deviceHandle, 2701)                                  \
  X(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, deviceJson, 2702)

// What an attribute's value is.
#define SECATEUR_CUDNN_KINDS(X)                                \
  X(CUDNN_TYPE_HANDLE, handle, 0)                              \
  X(CUDNN_TYPE_DATA_TYPE, dataType, 1)                         \
  X(CUDNN_TYPE_BOOLEAN, boolean, 2)                            \
  X(CUDNN_TYPE_INT64, whole, 3)                                \
  X(CUDNN_TYPE_FLOAT, real, 4)                                 \
  X(CUDNN_TYPE_VOID_PTR, pointer, 6)                           \
  X(CUDNN_TYPE_CONVOLUTION_MODE, convolutionMode, 7)           \
  X(CUDNN_TYPE_HEUR_MODE, heuristicsMode, 8)                   \
  X(CUDNN_TYPE_NAN_PROPOGATION, nan, 10)                       \
  X(CUDNN_TYPE_NUMERICAL_NOTE, note, 11)                       \
  X(CUDNN_TYPE_POINTWISE_MODE, pointwiseMode, 14)              \
  X(CUDNN_TYPE_BACKEND_DESCRIPTOR, descriptor, 15)             \
  X(CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, reductionOperator, 18) \
  X(CUDNN_TYPE_CHAR, character, 24)                            \
  X(CUDNN_TYPE_NORM_MODE, normMode, 27)                        \
  X(CUDNN_TYPE_NORM_FWD_PHASE, normPhase, 28)

#define SECATEUR_CUDNN_DATA_TYPES(X) \
  X(CUDNN_DATA_FLOAT, f32, 0)        \
  X(CUDNN_DATA_INT32, i32, 4)        \
  X(CUDNN_DATA_BFLOAT16, bf16, 9)    \
  X(CUDNN_DATA_BOOLEAN, boolean, 11)

#define SECATEUR_CUDNN_CONVOLUTION_MODES(X) X(CUDNN_CROSS_CORRELATION, crossCorrelation, 1)

#define SECATEUR_CUDNN_POINTWISE_MODES(X)       \
  X(CUDNN_POINTWISE_ADD, add, 0)                \
  X(CUDNN_POINTWISE_MUL, multiply, 1)           \
  X(CUDNN_POINTWISE_DIV, divide, 6)             \
  X(CUDNN_POINTWISE_SUB, subtract, 9)           \
  X(CUDNN_POINTWISE_EXP, exponential, 13)       \
  X(CUDNN_POINTWISE_LOG, logarithm, 15)         \
  X(CUDNN_POINTWISE_RELU_FWD, relu, 100)        \
  X(CUDNN_POINTWISE_CMP_GE, notBelow, 303)      \
  X(CUDNN_POINTWISE_GEN_INDEX, placeAlong, 501) \
  X(CUDNN_POINTWISE_BINARY_SELECT, select, 601)

#define SECATEUR_CUDNN_REDUCTIONS(X) \
  X(CUDNN_REDUCE_TENSOR_ADD, add, 0) \
  X(CUDNN_REDUCE_TENSOR_MAX, largest, 3)

#define SECATEUR_CUDNN_NORMS(X) X(CUDNN_BATCH_NORM, batch, 2)

#define SECATEUR_CUDNN_NORM_PHASES(X) X(CUDNN_NORM_FWD_TRAINING, training, 1)

#define SECATEUR_CUDNN_NANS(X) X(CUDNN_PROPAGATE_NAN, propagate, 1)

#define SECATEUR_CUDNN_HEURISTICS(X)       \
  X(CUDNN_HEUR_MODE_FALLBACK, fallback, 2) \
  X(CUDNN_HEUR_MODE_A, best, 3)

#define SECATEUR_CUDNN_NOTES(X)                                                     \
  X(CUDNN_NUMERICAL_NOTE_TENSOR_CORE, tensorCore, 0)                                \
  X(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, downConvertInputs, 1)                 \
  X(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, reducedPrecisionReduction, 2) \
  X(CUDNN_NUMERICAL_NOTE_FFT, fft, 3)                                               \
  X(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, nondeterministic, 4)                     \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD, winograd, 5)                                     \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4, winograd4x4, 6)                         \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, winograd6x6, 7)                         \
  X(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13, winograd13x13, 8)                     \
  X(CUDNN_NUMERICAL_NOTE_TYPE_COUNT, count, 10)

#define SECATEUR_VALUE(vendor, name, value) name = value,
enum class DnnStatus : int { SECATEUR_CUDNN_STATUSES(SECATEUR_VALUE) };
enum class DnnDescriptorType : int { SECATEUR_CUDNN_DESCRIPTORS(SECATEUR_VALUE) };
enum class DnnAttribute : int { SECATEUR_CUDNN_ATTRIBUTES(SECATEUR_VALUE) };
enum class DnnKind : int { SECATEUR_CUDNN_KINDS(SECATEUR_VALUE) };
enum class DnnDataType : int { SECATEUR_CUDNN_DATA_TYPES(SECATEUR_VALUE) };
enum class DnnConvolutionMode : int { SECATEUR_CUDNN_CONVOLUTION_MODES(SECATEUR_VALUE) };
enum class DnnPointwiseMode : int { SECATEUR_CUDNN_POINTWISE_MODES(SECATEUR_VALUE) };
enum class DnnReduction : int { SECATEUR_CUDNN_REDUCTIONS(SECATEUR_VALUE) };
enum class DnnNorm : int { SECATEUR_CUDNN_NORMS(SECATEUR_VALUE) };
enum class DnnNormPhase : int { SECATEUR_CUDNN_NORM_PHASES(SECATEUR_VALUE) };
enum class DnnNan : int { SECATEUR_CUDNN_NANS(SECATEUR_VALUE) };
enum class DnnHeuristics : int { SECATEUR_CUDNN_HEURISTICS(SECATEUR_VALUE) };
enum class DnnNote : int { SECATEUR_CUDNN_NOTES(SECATEUR_VALUE) };
#undef SECATEUR_VALUE

// X(result, entry point, member, parameters).
#define SECATEUR_CUDNN(X)                                                                                            \
  X(std::size_t, cudnnGetVersion, getVersion, ())                                                                    \
  X(const char*, cudnnGetErrorString, getErrorString, (DnnStatus status))                                            \
  X(void, cudnnGetLastErrorString, getLastErrorString, (char* text, std::size_t bytes))                              \
  X(DnnStatus, cudnnCreate, create, (DnnHandle * handle))                                                            \
  X(DnnStatus, cudnnSetStream, setStream, (DnnHandle handle, CUstream stream))                                       \
  X(DnnStatus, cudnnBackendCreateDescriptor, createDescriptor, (DnnDescriptorType type, DnnDescriptor * descriptor)) \
  X(DnnStatus, cudnnBackendDestroyDescriptor, destroyDescriptor, (DnnDescriptor descriptor))                         \
  X(DnnStatus, cudnnBackendFinalize, finalize, (DnnDescriptor descriptor))                                           \
  X(DnnStatus, cudnnBackendSetAttribute, setAttribute,                                                               \
    (DnnDescriptor descriptor, DnnAttribute attribute, DnnKind kind, std::int64_t count, const void* of))            \
  X(DnnStatus, cudnnBackendGetAttribute, getAttribute,                                                               \
    (DnnDescriptor descriptor, DnnAttribute attribute, DnnKind kind, std::int64_t wanted, std::int64_t * got,        \
     void* to))                                                                                                      \
  X(DnnStatus, cudnnBackendExecute, execute, (DnnHandle handle, DnnDescriptor plan, DnnDescriptor pack))

struct Cudnn {
  SECATEUR_CUDNN(SECATEUR_ENTRY_MEMBER)
};

// Looked for at the first call.
const Bound<Cudnn>& cudnn();

}  // namespace secateur::cuda
