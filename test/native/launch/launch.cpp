// launch FILE.ptx KERNEL BLOCKS THREADS SHARED TIMES: runs a kernel, whose one parameter is the address of a buffer, so
// often, with so many bytes of dynamic shared memory. The buffer comes from standard input, and goes to standard output
// as the kernel left it. On an error of the driver it says so and ends
// with 1.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/driver.h"

namespace {

using namespace secateur::cuda;

struct Shape {
  unsigned blocks, threads, shared, times;
};

void run(const std::string& file, const char* kernel, const Shape& shape) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file);
  const std::string ptx{std::istreambuf_iterator<char>(in), {}};
  std::vector<char> bytes{std::istreambuf_iterator<char>(std::cin), {}};

  const Driver& d = driver();
  CUdevice device = 0;
  CUcontext context = nullptr;
  check(d.deviceGet(&device, 0), "the device");
  check(d.primaryContextRetain(&context, device), "its context");
  check(d.contextSetCurrent(context), "its context");
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  check(d.moduleLoadData(&module, ptx.c_str()), "loading the kernel");
  check(d.moduleGetFunction(&function, module, kernel), "finding the kernel");
  CUdeviceptr buffer = 0;
  check(d.memoryAllocate(&buffer, bytes.size()), "memory");
  check(d.copyToDevice(buffer, bytes.data(), bytes.size(), nullptr), "copying there");
  void* parameters[] = {&buffer};
  for (unsigned n = 0; n < shape.times; n++) {
    check(d.launchKernel(function, shape.blocks, 1, 1, shape.threads, 1, 1, shape.shared, nullptr, parameters, nullptr),
          "the launch");
  }
  check(d.copyToHost(bytes.data(), buffer, bytes.size(), nullptr), "copying back");
  check(d.streamSynchronize(nullptr), "waiting");
  std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int count, char** words) {
  if (count != 7) {
    std::fprintf(stderr, "usage: launch FILE.ptx KERNEL BLOCKS THREADS SHARED TIMES <before >after\n");
    return 2;
  }
  try {
    const auto number = [&](int word) { return static_cast<unsigned>(std::atoi(words[word])); };
    run(words[1], words[2], {number(3), number(4), number(5), number(6)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "launch: %s\n", error.what());
    return 1;
  }
  return 0;
}
