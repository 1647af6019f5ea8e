// Every access of a lane goes through here: it finds the bytes and checks that the lane may touch them now.
#pragma once
#include "machine.h"

namespace gpusim {

enum class Access { read, write, atomic };

// Where `bytes` at an address of a space lie in the host's memory. Faults on what is out of bounds, misaligned,
// uninitialised (shared memory) or races with another thread.
std::uint8_t* reach(Warp& w, const Instruction& i, int lane, Space space, std::uint64_t address, std::uint32_t bytes,
                    Access access);

// Counts one warp-wide request to global memory: `addresses` of the lanes in `mask`. What is streamed leaves the cache
// first.
void countRequest(Warp& w, const std::uint64_t* addresses, std::uint32_t mask, std::uint32_t bytes, bool write,
                  bool streamed = false);

// The space a generic address lies in; takes the window off.
Space spaceOf(std::uint64_t& address);

}  // namespace gpusim
