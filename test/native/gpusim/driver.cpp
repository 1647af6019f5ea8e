// Chapter 13: the driver. The documented entry points of libcuda that a program needs to run kernels, over the machine:
// devices, modules, launches.
#include "driver.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

namespace gpusim {

DriverState& state() {
  static DriverState instance;
  return instance;
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == 0 ? otherwise : std::strtoull(value, nullptr, 0);
}

std::uint64_t deviceBytes() { return setting("SECATEUR_GPUSIM_MEMORY", std::uint64_t{8} << 30); }

namespace {

struct Function {
  const Module* module;
  const Kernel* kernel;
};
int contextUsers = 0;
thread_local bool current = false;
std::uint32_t launches = 0;
std::set<std::unique_ptr<Module>> modules;
std::map<std::pair<const Module*, std::string>, std::unique_ptr<Function>> functions;

int architecture() { return static_cast<int>(setting("SECATEUR_GPUSIM_ARCH", 80)); }

// The process ends: calls that come from destructors find the driver gone, as they would a real one.
void shutDown() {
  finishAll();
  state().initialised = false;
  const char* path = std::getenv("SECATEUR_GPUSIM_COUNTERS");
  if (path == nullptr) return;
  std::FILE* out = std::fopen(path, "a");
  if (out == nullptr) return;
  for (const auto& [name, counters] : countersByKernel())
    std::fprintf(out, "{\"kernel\":\"%s\",%s}\n", name.c_str(), counters.json().c_str());
  std::fclose(out);
}

// The PTX of an image; or, for tests that change kernels, the file <stem>.ptx of the folder SECATEUR_GPUSIM_PTX names,
// when there is one for the source that this image was compiled from.
std::string ptxToLoad(const void* image) {
  std::string ptx = ptxOf(image);
  const char* folder = std::getenv("SECATEUR_GPUSIM_PTX");
  if (folder == nullptr) return ptx;
  for (const std::string& file : lex(ptx).files) {
    const std::size_t end = file.size() - 3, slash = file.rfind('/') + 1;
    if (file.size() < 3 || file.compare(end, 3, ".cu") != 0) continue;
    std::ifstream in(std::string(folder) + "/" + file.substr(slash, end - slash) + ".ptx");
    if (!in) continue;
    std::fprintf(stderr, "simulated GPU loads another %s\n", file.c_str() + slash);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  return ptx;
}

CUresult launch(const Function& f, const std::uint32_t (&grid)[3], const std::uint32_t (&threads)[3],
                std::uint32_t shared, std::vector<std::uint8_t> params) {
  if (state().sticky != success) return state().sticky;
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
  l.cacheBytes = setting("SECATEUR_GPUSIM_CACHE", 0);
  l.counters.launches = 1;
  l.counters.threads = std::uint64_t{threads[0]} * threads[1] * threads[2];
  l.counters.sharedBytes = shared;
  try {
    const char* faulty = std::getenv("SECATEUR_GPUSIM_FAULT");
    if (faulty != nullptr && f.kernel->name == faulty)
      throw Fault(illegalAddress, f.kernel->name + ": faults because SECATEUR_GPUSIM_FAULT says so");
    if (setting("SECATEUR_GPUSIM_EXECUTE", 1) != 0) l.run();
  } catch (const Fault& fault) {
    state().lastFault = fault.what();
    std::fprintf(stderr, "simulated GPU: %s\n", fault.what());
    state().sticky = fault.code;
    return state().sticky;
  }
  countersByKernel()[f.kernel->name].add(l.counters);
  return success;
}

int sharedLimit() { return architecture() >= 120 ? 101376 : architecture() >= 90 ? 232448 : 166912; }

}  // namespace

CUresult ready() {
  if (!state().initialised) return deinitialised;
  if (!current) return invalidContext;
  return state().sticky;
}

}  // namespace gpusim

using namespace gpusim;

CALL cuInit(unsigned flags) {
  if (flags != 0) return invalidValue;
  if (setting("SECATEUR_GPUSIM_DEVICES", 1) == 0) return noDevice;
  if (!state().initialised) std::atexit(shutDown);
  state().initialised = true;
  return success;
}
CALL cuDriverGetVersion(int* version) {
  *version = static_cast<int>(setting("SECATEUR_GPUSIM_DRIVER", 13000));
  return success;
}
CALL cuDeviceGetCount(int* count) {
  *count = 1;
  return state().initialised ? success : notInitialized;
}
CALL cuDeviceGet(int* device, int ordinal) {
  *device = 0;
  return !state().initialised ? notInitialized : ordinal == 0 ? success : invalidDevice;
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
  if (!state().initialised) return notInitialized;
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
    if (state().capturing != nullptr) {
      state().capturing->capturing->invalid = true;
      return static_cast<CUresult>(captureUnsupported);
    }
    try {
      std::unique_ptr<Module> parsed = parse(ptxToLoad(image));
      for (const auto& [at, bytes] : parsed->variables) memory().addStatic(at, bytes);
      *module = parsed.get();
      modules.insert(std::move(parsed));
      return static_cast<CUresult>(success);
    } catch (const PtxError& e) {
      state().lastFault = e.what();
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
CALL cuFuncGetParamInfo(void* function, std::size_t index, std::size_t* offset, std::size_t* bytes) {
  const auto& sizes = static_cast<const Function*>(function)->kernel->params;
  if (index >= sizes.size()) return invalidValue;
  *offset = sizes[index].at;
  if (bytes != nullptr) *bytes = sizes[index].bytes;
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
    // The bytes are copied now.
    std::vector<std::uint8_t> params(f.kernel->paramBytes);
    for (std::size_t n = 0; n < f.kernel->params.size(); n++)
      std::memcpy(params.data() + f.kernel->params[n].at, parameters[n], f.kernel->params[n].bytes);
    const std::array<std::uint32_t, 3> grid = {gx, gy, gz};
    const std::array<std::uint32_t, 3> block = {bx, by, bz};
    return enqueue(static_cast<Stream*>(stream), [f, grid, block, shared, params] {
      const std::uint32_t g[3] = {grid[0], grid[1], grid[2]};
      const std::uint32_t b[3] = {block[0], block[1], block[2]};
      return launch(f, g, b, shared, params);
    });
  });
}
