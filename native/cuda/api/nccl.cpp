#include "api/nccl.h"

namespace secateur::cuda {

namespace {

Bound<Nccl> open() {
  Bound<Nccl> bound{findLibrary({"NCCL", "libnccl.so.2", "SECATEUR_LIBNCCL", "nvidia/nccl/lib", "nvidia-nccl-cu13"}),
                    {}};
  SECATEUR_NCCL(SECATEUR_ENTRY_BIND)
  if (bound.table.getVersion == nullptr) return bound;
  int version = 0;
  bound.table.getVersion(&version);
  bound.library.version = versionText(static_cast<std::size_t>(version));
  // The first one for CUDA 13; before 2.9 the number was composed otherwise, and is smaller.
  if (version < 22703 || version >= 30000) refuseVersion(bound.library, "2.27.3 or later, below 3");
  return bound;
}

}  // namespace

const Bound<Nccl>& nccl() {
  static const Bound<Nccl> instance = open();
  return instance;
}

}  // namespace secateur::cuda
