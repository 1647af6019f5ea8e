// Chapter 12: the driver. The documented entry points of libcuda that a program needs to run kernels, over the machine.
// Work is done at once, in the calling thread; a captured stream records instead.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "machine.h"

namespace {

using namespace gpusim;

using CUresult = int;
enum : CUresult {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  deinitialised = 4,
  noDevice = 100,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  invalidPtx = 218,
  invalidHandle = 400,
  notFound = 500,
  captureUnsupported = 900
};

struct Function {
  const Module* module;
  const Kernel* kernel;
};
struct Graph {
  std::vector<std::function<CUresult()>> nodes;
};
struct Stream {
  Graph* capturing = nullptr;
};
struct Event {
  double milliseconds = 0;
};

std::recursive_mutex mutex;
bool initialised = false;
int contextUsers = 0;
thread_local bool current = false;
CUresult sticky = success;
std::string lastFault;
std::uint32_t launches = 0;
std::set<std::unique_ptr<Module>> modules;
std::map<std::pair<const Module*, std::string>, std::unique_ptr<Function>> functions;
std::set<Stream*> streams;
std::set<Graph*> graphs;
std::set<void*> pinned;
Stream* capturingStream = nullptr;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? otherwise : std::strtoull(value, nullptr, 0);
}

std::uint64_t deviceBytes() { return setting("SECATEUR_GPUSIM_MEMORY", std::uint64_t{8} << 30); }
int architecture() { return static_cast<int>(setting("SECATEUR_GPUSIM_ARCH", 80)); }

// The process ends: calls that come from destructors find the driver gone, as they would a real one.
void shutDown() {
  initialised = false;
  const char* path = std::getenv("SECATEUR_GPUSIM_COUNTERS");
  if (path == nullptr) return;
  std::FILE* out = std::fopen(path, "a");
  if (out == nullptr) return;
  for (const auto& [name, counters] : countersByKernel())
    std::fprintf(out, "{\"kernel\":\"%s\",%s}\n", name.c_str(), counters.json().c_str());
  std::fclose(out);
}

// What every call that touches the device begins with.
CUresult ready() {
  if (!initialised) return deinitialised;
  if (!current) return invalidContext;
  return sticky;
}

// Runs `body` under the lock, after the usual checks.
template <class Body>
CUresult guarded(Body body) {
  const std::lock_guard<std::recursive_mutex> lock(mutex);
  const CUresult status = ready();
  return status != success ? status : body();
}

// Does the work now, or records it when the stream is being captured.
CUresult enqueue(Stream* stream, std::function<CUresult()> work) {
  if (stream != nullptr && streams.count(stream) == 0) return invalidHandle;
  if (stream != nullptr && stream->capturing != nullptr) {
    stream->capturing->nodes.push_back(std::move(work));
    return success;
  }
  return work();
}

CUresult launch(const Function& f, const std::uint32_t (&grid)[3], const std::uint32_t (&threads)[3],
                std::uint32_t shared, std::vector<std::uint8_t> params) {
  if (sticky != success) return sticky;
  Launch l;
  l.module = f.module;
  l.kernel = f.kernel;
  l.number = ++launches;
  std::copy_n(grid, 3, l.grid);
  std::copy_n(threads, 3, l.threads);
  l.sharedBytes = shared;
  l.params = std::move(params);
  l.random.seed(setting("SECATEUR_GPUSIM_SEED", 1) * 0x9e3779b97f4a7c15ull + l.number);
  l.checkRaces = setting("SECATEUR_GPUSIM_RACES", 1) != 0;
  try {
    l.run();
  } catch (const Fault& fault) {
    lastFault = fault.what();
    std::fprintf(stderr, "simulated GPU: %s\n", fault.what());
    sticky = fault.code;
    return sticky;
  }
  countersByKernel()[f.kernel->name].add(l.counters);
  return success;
}

const char* nameOf(CUresult error) {
  switch (error) {
    case success:
      return "CUDA_SUCCESS";
    case invalidValue:
      return "CUDA_ERROR_INVALID_VALUE";
    case outOfMemory:
      return "CUDA_ERROR_OUT_OF_MEMORY";
    case notInitialized:
      return "CUDA_ERROR_NOT_INITIALIZED";
    case noDevice:
      return "CUDA_ERROR_NO_DEVICE";
    case invalidDevice:
      return "CUDA_ERROR_INVALID_DEVICE";
    case invalidImage:
      return "CUDA_ERROR_INVALID_IMAGE";
    case invalidContext:
      return "CUDA_ERROR_INVALID_CONTEXT";
    case invalidPtx:
      return "CUDA_ERROR_INVALID_PTX";
    case invalidHandle:
      return "CUDA_ERROR_INVALID_HANDLE";
    case notFound:
      return "CUDA_ERROR_NOT_FOUND";
    case illegalAddress:
      return "CUDA_ERROR_ILLEGAL_ADDRESS";
    case illegalInstruction:
      return "CUDA_ERROR_ILLEGAL_INSTRUCTION";
    case misaligned:
      return "CUDA_ERROR_MISALIGNED_ADDRESS";
    case launchFailed:
      return "CUDA_ERROR_LAUNCH_FAILED";
    case captureUnsupported:
      return "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
    default:
      return nullptr;
  }
}

int sharedLimit() { return architecture() >= 120 ? 101376 : architecture() >= 90 ? 232448 : 166912; }

}  // namespace

#define CALL extern "C" __attribute__((visibility("default"))) CUresult

CALL cuInit(unsigned flags) {
  if (flags != 0) return invalidValue;
  if (setting("SECATEUR_GPUSIM_DEVICES", 1) == 0) return noDevice;
  if (!initialised) std::atexit(shutDown);
  initialised = true;
  return success;
}
CALL cuDriverGetVersion(int* version) {
  *version = static_cast<int>(setting("SECATEUR_GPUSIM_DRIVER", 13000));
  return success;
}
CALL cuDeviceGetCount(int* count) {
  *count = 1;
  return initialised ? success : notInitialized;
}
CALL cuDeviceGet(int* device, int ordinal) {
  *device = 0;
  return !initialised ? notInitialized : ordinal == 0 ? success : invalidDevice;
}
CALL cuDeviceGetName(char* name, int length, int device) {
  if (device != 0) return invalidDevice;
  std::snprintf(name, static_cast<std::size_t>(length), "Simulated GPU (sm_%d)", architecture());
  return success;
}
CALL cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (device != 0) return invalidDevice;
  static const std::map<int, int> known = {{1, 1024},     {2, 1024},    {3, 1024},     {4, 64},    {5, 0x7fffffff},
                                           {6, 65535},    {7, 65535},   {8, 49152},    {10, 32},   {12, 65536},
                                           {13, 1410000}, {16, 4},      {36, 1215000}, {37, 5120}, {38, 4 << 20},
                                           {39, 2048},    {81, 167936}, {82, 65536},   {106, 32}};
  if (attribute == 75)
    *value = architecture() / 10;
  else if (attribute == 76)
    *value = architecture() % 10;
  else if (attribute == 97)
    *value = sharedLimit();
  else if (known.count(attribute) != 0)
    *value = known.at(attribute);
  else
    return invalidValue;
  return success;
}
CALL cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  *bytes = deviceBytes();
  return device == 0 ? success : invalidDevice;
}
CALL cuDevicePrimaryCtxRetain(void** context, int device) {
  if (!initialised) return notInitialized;
  if (device != 0) return invalidDevice;
  contextUsers++;
  *context = &contextUsers;
  return success;
}
CALL cuDevicePrimaryCtxRelease_v2(int device) {
  if (device != 0 || contextUsers == 0) return invalidContext;
  contextUsers--;
  return success;
}
CALL cuCtxSetCurrent(void* context) {
  if (context != nullptr && (context != &contextUsers || contextUsers == 0)) return invalidContext;
  current = context != nullptr;
  return success;
}
CALL cuModuleLoadData(void** module, const void* image) {
  return guarded([&] {
    if (capturingStream != nullptr) return static_cast<CUresult>(captureUnsupported);
    try {
      std::unique_ptr<Module> parsed = parse(ptxOf(image));
      for (const auto& [at, bytes] : parsed->variables) memory().addStatic(at, bytes);
      *module = parsed.get();
      modules.insert(std::move(parsed));
      return static_cast<CUresult>(success);
    } catch (const PtxError& e) {
      lastFault = e.what();
      std::fprintf(stderr, "simulated GPU: %s\n", e.what());
      return static_cast<CUresult>(invalidPtx);
    }
  });
}
CALL cuModuleGetFunction(void** function, void* module, const char* name) {
  return guarded([&] {
    const auto* m = static_cast<const Module*>(module);
    const auto found = m->kernels.find(name);
    if (found == m->kernels.end()) return static_cast<CUresult>(notFound);
    auto& f = functions[{m, name}];
    if (f == nullptr) f = std::make_unique<Function>(Function{m, &found->second});
    *function = f.get();
    return static_cast<CUresult>(success);
  });
}
CALL cuFuncGetAttribute(int* value, int attribute, void* function) {
  const auto& f = *static_cast<const Function*>(function);
  if (attribute == 0)
    *value = static_cast<int>(f.kernel->maxThreads);
  else if (attribute == 1)
    *value = static_cast<int>(f.kernel->sharedBytes);
  else if (attribute == 3)
    *value = static_cast<int>(f.kernel->localBytes);
  else
    return invalidValue;  // registers are the assembler's business
  return success;
}
CALL cuFuncSetAttribute(void*, int attribute, int value) {
  return attribute == 8 && value <= sharedLimit() ? success : invalidValue;
}
CALL cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int threads, std::size_t) {
  *blocks = std::max(1, 2048 / std::max(threads, 1) / 4);
  return success;
}
CALL cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                    unsigned shared, void* stream, void** parameters, void** extra) {
  return guarded([&] {
    const Function f = *static_cast<const Function*>(function);
    const std::uint64_t threads = std::uint64_t{bx} * by * bz;
    if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || threads == 0 || threads > 1024 ||
        threads > f.kernel->maxThreads || extra != nullptr ||
        shared + f.kernel->sharedBytes > static_cast<std::uint64_t>(sharedLimit()))
      return static_cast<CUresult>(invalidValue);
    // One parameter, by the house's rule: its bytes are copied now.
    std::vector<std::uint8_t> params(f.kernel->paramBytes);
    if (!params.empty()) std::memcpy(params.data(), parameters[0], params.size());
    const std::array<std::uint32_t, 3> grid = {gx, gy, gz};
    const std::array<std::uint32_t, 3> block = {bx, by, bz};
    return enqueue(static_cast<Stream*>(stream), [f, grid, block, shared, params] {
      const std::uint32_t g[3] = {grid[0], grid[1], grid[2]};
      const std::uint32_t b[3] = {block[0], block[1], block[2]};
      return launch(f, g, b, shared, params);
    });
  });
}
CALL cuMemAlloc_v2(std::uint64_t* data, std::size_t bytes) {
  return guarded([&] {
    if (bytes == 0) return static_cast<CUresult>(invalidValue);
    if (memory().live() + bytes > deviceBytes()) return static_cast<CUresult>(outOfMemory);
    *data = memory().allocate(bytes);
    return static_cast<CUresult>(*data == 0 ? outOfMemory : success);
  });
}
CALL cuMemFree_v2(std::uint64_t data) {
  return guarded([&] { return static_cast<CUresult>(data == 0 || memory().release(data) ? success : invalidValue); });
}
CALL cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  return guarded([&] {
    *total = deviceBytes();
    *free = *total - memory().live();
    return static_cast<CUresult>(success);
  });
}
CALL cuMemHostAlloc(void** data, std::size_t bytes, unsigned) {
  return guarded([&] {
    *data = std::malloc(bytes);
    if (*data == nullptr) return static_cast<CUresult>(outOfMemory);
    pinned.insert(*data);
    // Kernels may read and write it.
    memory().addStatic(reinterpret_cast<std::uint64_t>(*data), bytes);
    return static_cast<CUresult>(success);
  });
}
CALL cuMemFreeHost(void* data) {
  return guarded([&] {
    if (pinned.erase(data) == 0) return static_cast<CUresult>(invalidValue);
    memory().forgetStatic(reinterpret_cast<std::uint64_t>(data));
    std::free(data);
    return static_cast<CUresult>(success);
  });
}

namespace {

bool onDevice(std::uint64_t at, std::size_t bytes) { return memory().find(at, bytes) != nullptr; }

CUresult copyBytes(void* stream, std::uint64_t to, std::uint64_t from, std::size_t bytes, bool toDevice,
                   bool fromDevice) {
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      if ((toDevice && !onDevice(to, bytes)) || (fromDevice && !onDevice(from, bytes)))
        return static_cast<CUresult>(invalidValue);
      std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
      return static_cast<CUresult>(success);
    });
  });
}

}  // namespace

CALL cuMemcpyHtoDAsync_v2(std::uint64_t to, const void* from, std::size_t bytes, void* stream) {
  return copyBytes(stream, to, reinterpret_cast<std::uint64_t>(from), bytes, true, false);
}
CALL cuMemcpyDtoHAsync_v2(void* to, std::uint64_t from, std::size_t bytes, void* stream) {
  return copyBytes(stream, reinterpret_cast<std::uint64_t>(to), from, bytes, false, true);
}
CALL cuMemcpyDtoDAsync_v2(std::uint64_t to, std::uint64_t from, std::size_t bytes, void* stream) {
  return copyBytes(stream, to, from, bytes, true, true);
}
CALL cuMemsetD8Async(std::uint64_t to, unsigned char value, std::size_t bytes, void* stream) {
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      if (!onDevice(to, bytes)) return static_cast<CUresult>(invalidValue);
      std::memset(reinterpret_cast<void*>(to), value, bytes);
      return static_cast<CUresult>(success);
    });
  });
}
CALL cuStreamCreate(void** stream, unsigned) {
  return guarded([&] {
    *stream = *streams.insert(new Stream()).first;
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamDestroy_v2(void* stream) {
  return guarded([&] {
    if (streams.erase(static_cast<Stream*>(stream)) == 0) return static_cast<CUresult>(invalidHandle);
    delete static_cast<Stream*>(stream);
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamSynchronize(void* stream) {
  return guarded([&] {
    const auto* s = static_cast<Stream*>(stream);
    return static_cast<CUresult>(s != nullptr && s->capturing != nullptr ? captureUnsupported : success);
  });
}
CALL cuStreamBeginCapture_v2(void* stream, int) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s == nullptr || s->capturing != nullptr) return static_cast<CUresult>(invalidValue);
    s->capturing = *graphs.insert(new Graph()).first;
    capturingStream = s;
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamEndCapture(void* stream, void** graph) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s == nullptr || s->capturing == nullptr) return static_cast<CUresult>(invalidValue);
    *graph = std::exchange(s->capturing, nullptr);
    capturingStream = nullptr;
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphGetNodes(void* graph, void**, std::size_t* count) {
  *count = static_cast<Graph*>(graph)->nodes.size();
  return success;
}
CALL cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
  return guarded([&] {
    *exec = *graphs.insert(new Graph(*static_cast<Graph*>(graph))).first;
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphLaunch(void* exec, void* stream) {
  return guarded([&] {
    const auto* s = static_cast<Stream*>(stream);
    if (s != nullptr && s->capturing != nullptr) return static_cast<CUresult>(captureUnsupported);
    for (const auto& node : static_cast<Graph*>(exec)->nodes) {
      const CUresult status = node();
      if (status != success) return status;
    }
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphDestroy(void* graph) {
  return guarded([&] {
    if (graphs.erase(static_cast<Graph*>(graph)) == 0) return static_cast<CUresult>(invalidValue);
    delete static_cast<Graph*>(graph);
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphExecDestroy(void* exec) { return cuGraphDestroy(exec); }
CALL cuEventCreate(void** event, unsigned) {
  return guarded([&] {
    *event = new Event();
    return static_cast<CUresult>(success);
  });
}
CALL cuEventRecord(void*, void*) {
  return guarded([] { return static_cast<CUresult>(success); });
}
CALL cuEventQuery(void*) {
  return guarded([] { return static_cast<CUresult>(success); });
}
CALL cuEventSynchronize(void*) {
  return guarded([] { return static_cast<CUresult>(success); });
}
CALL cuEventElapsedTime_v2(float* milliseconds, void*, void*) {
  *milliseconds = 0;  // a simulated GPU has no clock
  return guarded([] { return static_cast<CUresult>(success); });
}
CALL cuEventDestroy_v2(void* event) {
  delete static_cast<Event*>(event);
  return success;
}
CALL cuGetErrorName(CUresult error, const char** name) {
  *name = nameOf(error);
  return *name == nullptr ? invalidValue : success;
}
CALL cuGetErrorString(CUresult error, const char** text) {
  *text = error == sticky && !lastFault.empty() ? lastFault.c_str() : nameOf(error);
  return *text == nullptr ? invalidValue : success;
}
