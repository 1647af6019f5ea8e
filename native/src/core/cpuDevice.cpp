#include <immintrin.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/device.h"
#include "core/registry.h"
#include "core/scratch.h"

namespace secateur {

namespace {

// While it lives, results too small for a normal number are zero. Soft masks make plenty of them, and on many
// processors each product with one takes a hundred times as long. Threads that OpenMP starts meanwhile take the setting
// over. What comes in as a denormal number is used as it is.
class FlushToZero {
 public:
  FlushToZero() { _mm_setcsr(before_ | _MM_FLUSH_ZERO_ON); }
  ~FlushToZero() { _mm_setcsr(before_); }
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;

 private:
  const unsigned before_ = _mm_getcsr();
};

class CpuDevice final : public Device {
 public:
  CpuDevice() : Device("cpu") {}
  ~CpuDevice() override {
    queue().stop();
    allocator().trim();
  }
  CpuDevice(const CpuDevice&) = delete;
  CpuDevice& operator=(const CpuDevice&) = delete;

  bool hasKernel(std::uint32_t op) const override { return kernelOf(op) != nullptr; }

  void run(std::uint32_t op, const void* args) override {
    const ScratchScope scratch;
    const FlushToZero flush;
    kernelOf(op)(args);
  }

  Layout layout(std::uint32_t op, const void* args) const override {
    const LayoutEntry entry = layoutOf(op);
    return entry == nullptr ? Layout{} : entry(args);
  }

  void wait() override { queue().wait(); }

  void upload(void* to, std::size_t, bool fresh, const std::function<void(void*)>& fill) override {
    if (!fresh) wait();  // kernels may still read it
    fill(to);
  }

  void download(const void* from, std::size_t, const std::function<void(const void*)>& read) override {
    wait();
    read(from);
  }

  std::size_t scratchBytes() const override { return scratchReserved(); }

  void* fromSystem(std::size_t bytes) override {
    const bool large = bytes > std::size_t{1} << 20;
    void* data = nullptr;
    if (posix_memalign(&data, large ? std::size_t{2} << 20 : 64, bytes) != 0) return nullptr;
    // Fewer, larger pages: a fresh 4 KiB page costs 0.19 ms a MiB.
    if (large) madvise(data, bytes, MADV_HUGEPAGE);
    return data;
  }

  void toSystem(void* data) override { std::free(data); }

  // What nobody touches costs an address only, and neighbours can be merged.
  std::size_t segment(std::size_t bytes) override { return std::max(bytes, std::size_t{256} << 20); }

  std::size_t capacity() override {
    return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
};

}  // namespace

Device& cpuDevice() {
  static CpuDevice instance;
  return instance;
}

Device& deviceOf(DeviceCode code) { return code == DeviceCode::cuda ? cudaDevice() : cpuDevice(); }

}  // namespace secateur
