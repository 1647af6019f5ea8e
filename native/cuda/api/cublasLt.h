// cuBLASLt, as much of it as is used, bound at run time from libcublasLt.so.13. Own declarations, so that a build needs
// no vendor header; test/native/vendor compares them with the vendor's.
#pragma once
#include <cstddef>
#include <cstdint>

#include "api/driver.h"
#include "api/library.h"

namespace secateur::cuda {

using BlasLtHandle = struct cublasLtContext*;
using BlasLtLayout = struct cublasLtMatrixLayoutOpaque_t*;
using BlasLtProduct = struct cublasLtMatmulDescOpaque_t*;
using BlasLtPreference = struct cublasLtMatmulPreferenceOpaque_t*;
struct BlasLtAlgorithm {
  std::uint64_t data[8];
};
struct BlasLtChoice {
  BlasLtAlgorithm algorithm;
  std::size_t workspaceBytes;
  int status;
  float waves;
  int reserved[4];
};

// X(vendor's name, name here, value): the enumerators that are used.
#define SECATEUR_CUBLASLT_VALUES(X)                                            \
  X(CUBLAS_STATUS_SUCCESS, blasSuccess, 0)                                     \
  X(CUBLAS_STATUS_NOT_SUPPORTED, blasNotSupported, 15)                         \
  X(CUBLAS_OP_N, blasAsIs, 0)                                                  \
  X(CUBLAS_OP_T, blasTransposed, 1)                                            \
  X(CUBLAS_COMPUTE_32F, blasComputeF32, 68)                                    \
  X(CUDA_R_32F, blasF32, 0)                                                    \
  X(CUDA_R_16BF, blasBf16, 14)                                                 \
  X(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, layoutBatchCount, 5)                   \
  X(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, layoutBatchStride, 6)         \
  X(CUBLASLT_MATMUL_DESC_TRANSA, productTransA, 3)                             \
  X(CUBLASLT_MATMUL_DESC_TRANSB, productTransB, 4)                             \
  X(CUBLASLT_MATMUL_DESC_EPILOGUE, productEpilogue, 7)                         \
  X(CUBLASLT_MATMUL_DESC_BIAS_POINTER, productBiasPointer, 8)                  \
  X(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, productAuxPointer, 11)          \
  X(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, productAuxLeading, 12)               \
  X(CUBLASLT_EPILOGUE_DEFAULT, epilogueDefault, 1)                             \
  X(CUBLASLT_EPILOGUE_BIAS, epilogueBias, 4)                                   \
  X(CUBLASLT_EPILOGUE_GELU, epilogueGelu, 32)                                  \
  X(CUBLASLT_EPILOGUE_GELU_BIAS, epilogueGeluBias, 36)                         \
  X(CUBLASLT_EPILOGUE_GELU_AUX, epilogueGeluAux, 160)                          \
  X(CUBLASLT_EPILOGUE_GELU_AUX_BIAS, epilogueGeluAuxBias, 164)                 \
  X(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, reductionInComputeType, 2)         \
  X(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, preferenceMaxWorkspace, 1)       \
  X(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, preferenceReductionSchemes, 3) \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, preferenceAlignmentA, 5)       \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, preferenceAlignmentB, 6)       \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, preferenceAlignmentC, 7)       \
  X(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, preferenceAlignmentD, 8)

enum BlasLtValue : int {
#define SECATEUR_VALUE(vendor, name, value) name = value,
  SECATEUR_CUBLASLT_VALUES(SECATEUR_VALUE)
#undef SECATEUR_VALUE
};

// X(result, entry point, member, parameters).
#define SECATEUR_CUBLASLT(X)                                                                                     \
  X(std::size_t, cublasLtGetVersion, getVersion, ())                                                             \
  X(const char*, cublasLtGetStatusString, getStatusString, (int status))                                         \
  X(int, cublasLtCreate, create, (BlasLtHandle * handle))                                                        \
  X(int, cublasLtMatrixLayoutCreate, layoutCreate,                                                               \
    (BlasLtLayout * layout, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading))          \
  X(int, cublasLtMatrixLayoutDestroy, layoutDestroy, (BlasLtLayout layout))                                      \
  X(int, cublasLtMatrixLayoutSetAttribute, layoutSet,                                                            \
    (BlasLtLayout layout, int attribute, const void* value, std::size_t bytes))                                  \
  X(int, cublasLtMatmulDescCreate, productCreate, (BlasLtProduct * product, int compute, int scale))             \
  X(int, cublasLtMatmulDescDestroy, productDestroy, (BlasLtProduct product))                                     \
  X(int, cublasLtMatmulDescSetAttribute, productSet,                                                             \
    (BlasLtProduct product, int attribute, const void* value, std::size_t bytes))                                \
  X(int, cublasLtMatmulPreferenceCreate, preferenceCreate, (BlasLtPreference * preference))                      \
  X(int, cublasLtMatmulPreferenceDestroy, preferenceDestroy, (BlasLtPreference preference))                      \
  X(int, cublasLtMatmulPreferenceSetAttribute, preferenceSet,                                                    \
    (BlasLtPreference preference, int attribute, const void* value, std::size_t bytes))                          \
  X(int, cublasLtMatmulAlgoGetHeuristic, choose,                                                                 \
    (BlasLtHandle handle, BlasLtProduct product, BlasLtLayout a, BlasLtLayout b, BlasLtLayout c, BlasLtLayout d, \
     BlasLtPreference preference, int wanted, BlasLtChoice* choices, int* found))                                \
  X(int, cublasLtMatmul, multiply,                                                                               \
    (BlasLtHandle handle, BlasLtProduct product, const void* alpha, const void* a, BlasLtLayout layoutA,         \
     const void* b, BlasLtLayout layoutB, const void* beta, const void* c, BlasLtLayout layoutC, void* d,        \
     BlasLtLayout layoutD, const BlasLtAlgorithm* algorithm, void* workspace, std::size_t workspaceBytes,        \
     CUstream stream))

struct BlasLt {
  SECATEUR_CUBLASLT(SECATEUR_ENTRY_MEMBER)
};

// Looked for at the first call.
const Bound<BlasLt>& cublasLt();

}  // namespace secateur::cuda
