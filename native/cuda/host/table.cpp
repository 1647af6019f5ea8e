// The table through which the addon drives this library.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/error.h"
#include "core/kernel.h"
#include "host/describe.h"
#include "host/device.h"
#include "host/graph.h"
#include "host/live.h"
#include "host/scratch.h"
#include "host/staging.h"
#include "ops_generated.h"

// Bounds of the section that KERNEL writes to, provided by the linker.
extern "C" {
extern const secateur::KernelRecord __start_secateur_kernels[];
extern const secateur::KernelRecord __stop_secateur_kernels[];
}

namespace secateur {

void fail(const char* message) { throw Error("ERR_KERNEL", message); }

namespace cuda {
namespace {

constexpr const char* opNames =
#define SECATEUR_OP_LINE(name) #name "\n"
    SECATEUR_OPS(SECATEUR_OP_LINE);
#undef SECATEUR_OP_LINE

constexpr const char* names[] = {
#define SECATEUR_OP_NAME(name) #name,
    SECATEUR_OPS(SECATEUR_OP_NAME)
#undef SECATEUR_OP_NAME
};

std::vector<KernelEntry> buildEntries() {
  std::vector<KernelEntry> entries;
  for (const char* name : names) {
    entries.push_back(nullptr);
    for (const KernelRecord* k = __start_secateur_kernels; k != __stop_secateur_kernels; k++) {
      if (std::strcmp(k->op, name) == 0) entries.back() = k->entry;
    }
  }
  return entries;
}

void fill(Failure* failure, const char* code, const char* message) {
  std::snprintf(failure->code, sizeof(failure->code), "%s", code);
  std::snprintf(failure->message, sizeof(failure->message), "%s", message);
}

// Runs `body`; what it throws goes into `failure`.
template <class Body>
bool guarded(Failure* failure, Body body) noexcept {
  try {
    body();
    return true;
  } catch (const Error& e) {
    fill(failure, e.code().c_str(), e.what());
  } catch (const std::bad_alloc&) {
    fill(failure, "ERR_OOM", "out of memory on the host.");
  } catch (const std::exception& e) {
    fill(failure, "ERR_CUDA", e.what());
  } catch (...) {
    fill(failure, "ERR_CUDA", "unknown failure");
  }
  return false;
}

// The device of this thread's calls; throws when a fault has ended it.
Gpu& usable() {
  if (!lost().empty())
    throw Error("ERR_CUDA",
                "the GPU was lost to an earlier fault (" + lost() + "). Restart the process to use it again.");
  Gpu& gpu = Gpu::get();
  gpu.makeCurrent();
  return gpu;
}

void runOp(std::uint32_t op, const void* args) {
  static const std::vector<KernelEntry> entries = buildEntries();
  if (op >= entries.size() || entries[op] == nullptr) throw Error("ERR_NO_KERNEL", "this op has no CUDA kernel.");
  const ScratchScope scratch;
  entries[op](args);
}

bool synchronous() {
  static const bool value = [] {
    const char* sync = std::getenv("SECATEUR_SYNC");
    return sync != nullptr && std::strcmp(sync, "1") == 0;
  }();
  return value;
}

constexpr BackendTable table = {
    backendVersion,
    opNames,
    [](Failure* f) { return guarded(f, [] { usable(); }); },
    [] { return describe(); },
    [] { return &__start_secateur_kernels[0]; },
    [] { return &__stop_secateur_kernels[0]; },
    [](std::size_t bytes, void** data, Failure* f) {
      return guarded(f, [&] {
        usable();
        CUdeviceptr pointer = 0;
        check(driver().memoryAllocate(&pointer, bytes), "cuMemAlloc");
        *data = reinterpret_cast<void*>(pointer);
      });
    },
    // After a fault the memory is gone with the context.
    [](void* data) {
      if (!lost().empty()) return;
      Gpu::get().makeCurrent();
      driver().memoryFree(reinterpret_cast<CUdeviceptr>(data));
    },
    [](std::size_t* total, Failure* f) { return guarded(f, [&] { *total = usable().memoryBytes(); }); },
    [](std::size_t bytes, void** piece, Failure* f) {
      return guarded(f, [&] {
        usable();
        *piece = Staging::get().take(bytes);
      });
    },
    [](void* piece, void* to, std::size_t bytes, Failure* f) {
      return guarded(f, [&] {
        usable();
        if (liveMode() == LiveMode::capture)
          throw Error("ERR_CUDA", "a copy from the host cannot be captured: make the tensor before the step.");
        Staging::get().send(piece, to, bytes);
      });
    },
    [](void* piece) {
      Failure ignored;
      guarded(&ignored, [&] { Staging::get().giveBack(piece); });
    },
    [](void* to, const void* from, std::size_t bytes, Failure* f) {
      return guarded(f, [&] {
        const Gpu& gpu = usable();
        gpu.synchronize();
        if (bytes == 0) return;
        check(driver().copyToHost(to, reinterpret_cast<CUdeviceptr>(from), bytes, gpu.stream()), "copy to the host");
        gpu.synchronize();
      });
    },
    [](std::uint32_t op, const void* args, Failure* f) {
      return guarded(f, [&] {
        const Gpu& gpu = usable();
        runOp(op, args);
        if (synchronous() && liveMode() == LiveMode::eager) gpu.synchronize();
      });
    },
    [](Failure* f) { return guarded(f, [] { usable().synchronize(); }); },
    [](std::uint32_t* number, Failure* f) {
      return guarded(f, [&] {
        usable();
        *number = addGraph();
        graphOf(*number).begin();
      });
    },
    [](std::uint32_t number, std::size_t* nodes, Failure* f) {
      return guarded(f, [&] {
        usable();
        *nodes = graphOf(number).end();
      });
    },
    [] { return liveOffset(); },
    [](std::uint32_t number, Failure* f) {
      return guarded(f, [&] {
        usable();
        graphOf(number).beginRefresh();
      });
    },
    [](std::uint32_t op, const void* args, std::size_t offset, Failure* f) {
      const bool done = guarded(f, [&] {
        seekLive(offset);
        runOp(op, args);
      });
      // The replay ends here: what comes next is launched again.
      if (!done) setLiveMode(LiveMode::eager, nullptr);
      return done;
    },
    [](std::uint32_t number, Failure* f) {
      return guarded(f, [&] {
        usable();
        graphOf(number).replay();
      });
    },
    [](std::uint32_t number) {
      Failure ignored;
      guarded(&ignored, [&] {
        usable();
        removeGraph(number);
      });
    },
};

}  // namespace
}  // namespace cuda
}  // namespace secateur

extern "C" __attribute__((visibility("default"))) const secateur::BackendTable* secateur_backend() {
  return &secateur::cuda::table;
}
