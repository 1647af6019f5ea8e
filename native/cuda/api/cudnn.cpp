#include "api/cudnn.h"

#include "api/cublasLt.h"

namespace secateur::cuda {

namespace {

Bound<Cudnn> open() {
  Bound<Cudnn> bound{
      findLibrary({"cuDNN", "libcudnn.so.9", "SECATEUR_LIBCUDNN", "nvidia/cudnn/lib", "nvidia-cudnn-cu13"}), {}};
  SECATEUR_CUDNN(SECATEUR_ENTRY_BIND)
  if (bound.table.getVersion == nullptr) return bound;
  const std::size_t version = bound.table.getVersion();
  bound.library.version = versionText(version);
  // What is used is documented since 9.8; nothing older than 9.13 was tried.
  if (version < 91300 || version >= 100000) refuseVersion(bound.library, "9.13 or later, below 10");
  // cuDNN opens it by its bare name, which finds the one that is loaded already, and ends the process without it.
  if (bound.library.available() && !cublasLt().library.available())
    bound.library.reason = "needs cuBLASLt: " + cublasLt().library.reason;
  return bound;
}

}  // namespace

const Bound<Cudnn>& cudnn() {
  static const Bound<Cudnn> instance = open();
  return instance;
}

}  // namespace secateur::cuda
