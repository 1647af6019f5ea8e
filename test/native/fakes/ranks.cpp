// Several ranks and the stand-in for NCCL, through our own table of its entry points: prints, for each use, whether it
// did what it should, and for each wrong use whether it was refused.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "api/driver.h"
#include "api/nccl.h"

namespace {

using namespace secateur::cuda;

constexpr int ranks = 3;

void say(bool good, const char* what) { std::printf("%s %s\n", good ? "ok" : "WRONG", what); }

// Numbers on the simulated device.
template <class Value>
Value* onDevice(const std::vector<Value>& values) {
  CUdeviceptr data = 0;
  check(driver().memoryAllocate(&data, values.size() * sizeof(Value)), "memory");
  check(driver().copyToDevice(data, values.data(), values.size() * sizeof(Value), nullptr), "copy");
  return reinterpret_cast<Value*>(data);
}

template <class Value>
std::vector<Value> toHost(const Value* data, std::size_t count) {
  std::vector<Value> values(count);
  check(driver().copyToHost(values.data(), reinterpret_cast<CUdeviceptr>(data), count * sizeof(Value), nullptr),
        "copy");
  check(driver().streamSynchronize(nullptr), "work");
  return values;
}

// A thread for each rank, each with a communicator of its own.
template <class Work>
void everyRank(CUcontext context, const Work& work) {
  const Nccl& nccl = secateur::cuda::nccl().table;
  NcclUniqueId id;
  say(nccl.getUniqueId(&id) == ncclDone, "an identifier");
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; rank++) {
    threads.emplace_back([&, rank] {
      check(driver().contextSetCurrent(context), "context");
      NcclCommunicator communicator = nullptr;
      const bool joined = nccl.commInitRank(&communicator, ranks, id, rank) == ncclDone;
      if (joined) work(rank, communicator);
      if (!joined || nccl.commDestroy(communicator) != ncclDone) say(false, "a rank joins and leaves");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void collectives(CUcontext context) {
  const Nccl& nccl = secateur::cuda::nccl().table;
  std::vector<std::vector<float>> sums(ranks), gradients(ranks);
  std::vector<std::vector<std::int32_t>> sent(ranks);
  std::vector<std::vector<std::uint16_t>> means(ranks);
  everyRank(context, [&](int rank, NcclCommunicator communicator) {
    const auto at = static_cast<std::size_t>(rank);
    const float value = static_cast<float>(rank + 1);
    float* const own = onDevice<float>({value, 10 * value, -value});
    float* const sum = onDevice<float>({0, 0, 0});
    nccl.allReduce(own, sum, 3, ncclF32, ncclAdd, communicator, nullptr);
    sums[at] = toHost(sum, 3);
    // In place, as gradients are.
    nccl.allReduce(own, own, 3, ncclF32, ncclLargest, communicator, nullptr);
    gradients[at] = toHost(own, 3);
    std::int32_t* const numbers = onDevice<std::int32_t>({rank, rank + 7});
    nccl.broadcast(numbers, numbers, 2, ncclI32, 1, communicator, nullptr);
    sent[at] = toHost(numbers, 2);
    // 1, 2 and 3 in bf16.
    std::uint16_t* const halves = onDevice<std::uint16_t>({std::uint16_t(rank == 0   ? 0x3f80
                                                                         : rank == 1 ? 0x4000
                                                                                     : 0x4040)});
    nccl.allReduce(halves, halves, 1, ncclBf16, ncclMean, communicator, nullptr);
    means[at] = toHost(halves, 1);
  });
  for (std::size_t rank = 0; rank < ranks; rank++) {
    say(sums[rank] == std::vector<float>{6, 60, -6}, "a sum over the ranks");
    say(gradients[rank] == std::vector<float>{3, 30, -1}, "the largest over the ranks, in place");
    say(sent[rank] == std::vector<std::int32_t>{1, 8}, "what rank 1 sends");
    say(means[rank] == std::vector<std::uint16_t>{0x4000}, "a mean in bf16");
  }
}

// One thread may play every rank, if it says so.
void grouped() {
  const Nccl& nccl = secateur::cuda::nccl().table;
  NcclUniqueId id;
  nccl.getUniqueId(&id);
  NcclCommunicator communicators[2] = {};
  nccl.groupStart();
  for (int rank = 0; rank < 2; rank++) nccl.commInitRank(&communicators[rank], 2, id, rank);
  say(nccl.groupEnd() == ncclDone, "two ranks join in one group");
  float* const a = onDevice<float>({1, 2});
  float* const b = onDevice<float>({5, 7});
  nccl.groupStart();
  nccl.allReduce(a, a, 2, ncclF32, ncclAdd, communicators[0], nullptr);
  nccl.allReduce(b, b, 2, ncclF32, ncclAdd, communicators[1], nullptr);
  say(nccl.groupEnd() == ncclDone && toHost(a, 2) == std::vector<float>{6, 9} && toHost(b, 2) == toHost(a, 2),
      "a sum over two ranks in one group");
  nccl.groupStart();
  nccl.allReduce(a, a, 2, ncclF32, ncclAdd, communicators[0], nullptr);
  nccl.allReduce(b, b, 1, ncclF32, ncclAdd, communicators[1], nullptr);
  say(nccl.groupEnd() != ncclDone, "ranks that ask for different counts");
  for (NcclCommunicator communicator : communicators) nccl.commDestroy(communicator);
  say(nccl.commDestroy(communicators[0]) != ncclDone, "a communicator destroyed twice");
}

void misuse() {
  const Nccl& nccl = secateur::cuda::nccl().table;
  NcclUniqueId id;
  nccl.getUniqueId(&id);
  NcclCommunicator alone = nullptr;
  say(nccl.commInitRank(&alone, 2, id, 2) != ncclDone, "a rank out of range");
  NcclUniqueId unknown;
  std::memset(&unknown, 'x', sizeof(unknown));
  say(nccl.commInitRank(&alone, 1, unknown, 0) != ncclDone, "an identifier that nobody gave");
  say(nccl.commInitRank(&alone, 1, id, 0) == ncclDone, "one rank alone");
  say(nccl.commInitRank(&alone, 1, id, 0) != ncclDone, "the same rank twice");
  float* const data = onDevice<float>({1, 2, 3, 4});
  float host[4] = {};
  const auto refused = [&](const char* what, const void* from, void* to, std::size_t count, int dtype, int operation,
                           NcclCommunicator communicator) {
    say(nccl.allReduce(from, to, count, dtype, operation, communicator, nullptr) != ncclDone, what);
  };
  say(nccl.allReduce(data, data, 4, ncclF32, ncclAdd, alone, nullptr) == ncclDone, "a sum over one rank");
  refused("memory of the host", host, data, 4, ncclF32, ncclAdd, alone);
  refused("a result on the host", data, host, 4, ncclF32, ncclAdd, alone);
  refused("memory that ends too early", data, data, 5, ncclF32, ncclAdd, alone);
  refused("results over what is sent", data, data + 1, 2, ncclF32, ncclAdd, alone);
  refused("an unknown type", data, data, 4, 40, ncclAdd, alone);
  refused("an unknown operation", data, data, 4, ncclF32, 9, alone);
  refused("no communicator", data, data, 4, ncclF32, ncclAdd, nullptr);
  say(nccl.broadcast(data, data, 4, ncclF32, 1, alone, nullptr) != ncclDone, "a root that is no rank");
  say(nccl.groupEnd() != ncclDone, "a group that was not started");
  say(std::strlen(nccl.getErrorString(4)) > 0, "an error has a name");
  nccl.commDestroy(alone);
}

}  // namespace

int main() {
  CUcontext context = nullptr;
  check(driver().primaryContextRetain(&context, 0), "context");
  check(driver().contextSetCurrent(context), "context");
  if (!nccl().library.available()) {
    std::printf("WRONG %s\n", nccl().library.reason.c_str());
    return 1;
  }
  collectives(context);
  grouped();
  misuse();
}
