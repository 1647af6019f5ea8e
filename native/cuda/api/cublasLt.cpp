#include "api/cublasLt.h"

namespace secateur::cuda {

namespace {

Bound<BlasLt> open() {
  Bound<BlasLt> bound{
      findLibrary({"cuBLASLt", "libcublasLt.so.13", "SECATEUR_LIBCUBLASLT", "nvidia/cu13/lib", "nvidia-cublas"}), {}};
  SECATEUR_CUBLASLT(SECATEUR_ENTRY_BIND)
  if (bound.table.getVersion == nullptr) return bound;
  const std::size_t version = bound.table.getVersion();
  bound.library.version = versionText(version);
  if (version / 10000 != 13) refuseVersion(bound.library, "13, for CUDA 13");
  return bound;
}

}  // namespace

const Bound<BlasLt>& cublasLt() {
  static const Bound<BlasLt> instance = open();
  return instance;
}

}  // namespace secateur::cuda
