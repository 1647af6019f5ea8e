// What a kernel did: requested bytes and instructions, not DRAM traffic or time.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace gpusim {

struct Counters {
  std::uint64_t launches = 0;
  std::uint64_t threads = 0, sharedBytes = 0;         // of the largest block: threads, dynamic shared memory
  std::uint64_t bytesRead = 0, bytesWritten = 0;      // requested from global memory
  std::uint64_t uniqueRead = 0, uniqueWritten = 0;    // each byte once a launch
  std::uint64_t refetched = 0;                        // read again after the cache had lost them
  std::uint64_t sectorsRead = 0, sectorsWritten = 0;  // 32-byte sectors, by request of a warp
  std::uint64_t atomics = 0;
  std::uint64_t instructions[8] = {};  // by Class, a warp at a time
  void add(const Counters& other);
  std::string json() const;
};

std::map<std::string, Counters>& countersByKernel();

}  // namespace gpusim
