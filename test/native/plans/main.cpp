// Plans of cuDNN for described devices, with no GPU: reads one graph a line, prints what its plan needs.
//   in:  a name, then the numbers of a ConvolutionShape's or AttentionShape's key
//   out: <architecture> <name> ok <bytes of workspace> <milliseconds>   or   <architecture> <name> none <reason>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "vendor/plan.h"

namespace {

using namespace secateur::cuda;

// What cuDNN asks of a device, for one of each generation.
struct Device {
  int architecture, multiprocessors, sharedOptin;
  const char* name;
};
constexpr Device devices[] = {{80, 108, 166912, "NVIDIA A100-SXM4-80GB"},
                              {90, 132, 232448, "NVIDIA H100 80GB HBM3"},
                              {100, 148, 232448, "NVIDIA B200"},
                              {120, 170, 101376, "NVIDIA GeForce RTX 5090"}};

std::string describe(const Device& d) {
  std::ostringstream json;
  const int perMultiprocessor = d.architecture == 120 ? 1536 : 2048;
  json << "{\"version\":1,\"deviceName\":\"" << d.name << "\",\"deviceVer\":" << d.architecture * 10
       << ",\"driverVer\":13000,\"cudaDeviceId\":0,\"multiProcessorCount\":" << d.multiprocessors
       << ",\"regsPerBlock\":65536,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":"
       << d.sharedOptin << ",\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":"
       << (d.architecture == 120 ? 24 : 32) << ",\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":" << perMultiprocessor
       << ",\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"pciDeviceId\":0,"
          "\"isTccDriver\":0,\"supportCoopLaunch\":1,\"totalGlobalMem\":34359738368,\"smClockRateKHz\":1700000,"
          "\"memClockRateKHz\":2600000,\"l2CacheSize\":52428800}";
  return json.str();
}

template <class Shape>
Shape shapeOf(const std::vector<std::int64_t>& key);

template <>
dnn::ConvolutionShape shapeOf(const std::vector<std::int64_t>& k) {
  dnn::ConvolutionShape s;
  s.direction = static_cast<dnn::Direction>(k.at(0));
  s.dtype = static_cast<secateur::DType>(k.at(1));
  s.images = k.at(2), s.height = k.at(3), s.width = k.at(4), s.channels = k.at(5);
  s.outHeight = k.at(6), s.outWidth = k.at(7), s.outChannels = k.at(8);
  s.kernelHeight = k.at(9), s.kernelWidth = k.at(10), s.groups = k.at(11);
  for (int i = 0; i < 2; i++) {
    s.stride[i] = k.at(12 + i);
    s.padding[i] = k.at(14 + i);
    s.dilation[i] = k.at(16 + i);
  }
  s.bias = k.at(18) != 0;
  s.relu = k.at(19) != 0;
  s.highest = k.at(20) != 0;
  return s;
}

template <>
dnn::AttentionShape shapeOf(const std::vector<std::int64_t>& k) {
  return {k.at(0), k.at(1), k.at(2), k.at(3), k.at(4), (k.at(5) & 2) != 0, (k.at(5) & 4) != 0, (k.at(5) & 1) != 0};
}

template <>
dnn::BatchNormShape shapeOf(const std::vector<std::int64_t>& k) {
  return {k.at(0) != 0, static_cast<secateur::DType>(k.at(1)), k.at(2), k.at(3), k.at(4), k.at(5)};
}

template <class Shape>
void plan(const std::string& name, const std::vector<std::int64_t>& key, const Device& device) {
  const auto shape = shapeOf<Shape>(key);
  const auto start = std::chrono::steady_clock::now();
  std::printf("%d %s ", device.architecture, name.c_str());
  try {
    const dnn::Plan made(dnn::Graph(shape), dnn::Target(describe(device)), dnn::termsOf(shape));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    std::printf("ok %zu %.0f\n", made.workspaceBytes(), took.count());
  } catch (const dnn::Unsupported& e) {
    std::printf("none %s\n", e.what());
  } catch (const secateur::Error& e) {
    std::printf("error %s\n", e.what());
  }
  std::fflush(stdout);
}

}  // namespace

int main() {
  const Library& library = cudnn().library;
  if (!library.available()) {
    std::fprintf(stderr, "cuDNN: %s\n", library.reason.c_str());
    return 2;
  }
  std::printf("cuDNN %s\n", library.version.c_str());
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string name;
    in >> name;
    std::vector<std::int64_t> key;
    for (std::int64_t number; in >> number;) key.push_back(number);
    for (const Device& device : devices) {
      if (key.size() == dnn::AttentionShape{}.key().size())
        plan<dnn::AttentionShape>(name, key, device);
      else if (key.size() == dnn::BatchNormShape{}.key().size())
        plan<dnn::BatchNormShape>(name, key, device);
      else
        plan<dnn::ConvolutionShape>(name, key, device);
    }
  }
}
