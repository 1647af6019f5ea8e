// The stand-in for NCCL: ranks are threads of one process, or calls in one group of one thread, all on the one
// simulated GPU. A collective starts when every rank has asked for the same one; until then its callers wait, as a
// stream would.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/nccl.h"
#include "simulatedGpu.h"

namespace fakes {

struct Call {
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t count = 0;
  int dtype = 0, operation = 0, root = 0;
  void* stream = nullptr;

  bool agrees(const Call& other) const {
    return count == other.count && dtype == other.dtype && operation == other.operation && root == other.root;
  }
};

// The ranks that share an identifier, and the collective that they are gathering for.
struct Clique {
  explicit Clique(int size) : ranks(size), calls(static_cast<std::size_t>(size)) {}
  const int ranks;
  std::set<int> joined;
  std::vector<std::unique_ptr<Call>> calls;
  int arrived = 0;
  int outcome = 0;
};

}  // namespace fakes

namespace secateur::cuda {

struct ncclComm {
  std::shared_ptr<fakes::Clique> clique;
  int rank;
};

}  // namespace secateur::cuda

namespace {

using fakes::Call;
using fakes::Clique;
using namespace secateur::cuda;

constexpr int invalidArgument = 4, invalidUsage = 5;
constexpr int reduceAll = -1;  // in place of the root of a broadcast

int refuse(int result, const char* why) {
  std::fprintf(stderr, "fake NCCL: %s\n", why);
  return result;
}

std::mutex mutex;
std::condition_variable changed;
std::map<std::string, std::shared_ptr<Clique>> cliques;
std::set<const ncclComm*> communicators;
std::uint64_t identifiers = 0;

// What a thread has asked for since its first ncclGroupStart.
struct Group {
  int depth = 0;
  std::vector<std::pair<ncclComm*, Call>> calls;
  std::vector<std::shared_ptr<Clique>> joins;
};
thread_local Group group;

std::size_t bytesOf(int dtype) { return dtype == ncclBf16 ? 2 : 4; }

float load(const void* data, int dtype, std::size_t at) {
  if (dtype == ncclI32) return static_cast<float>(static_cast<const std::int32_t*>(data)[at]);
  return fakes::load(data, dtype == ncclBf16, static_cast<std::int64_t>(at));
}

void store(void* data, int dtype, std::size_t at, double value) {
  if (dtype == ncclI32) {
    static_cast<std::int32_t*>(data)[at] = static_cast<std::int32_t>(value);
  } else {
    fakes::store(data, dtype == ncclBf16, static_cast<std::int64_t>(at), static_cast<float>(value));
  }
}

double combine(int operation, double a, double b) {
  switch (operation) {
    case ncclMultiply:
      return a * b;
    case ncclLargest:
      return std::max(a, b);
    case ncclSmallest:
      return std::min(a, b);
    default:
      return a + b;
  }
}

void compute(const std::vector<Call>& calls) {
  const Call& first = calls.front();
  for (std::size_t i = 0; i < first.count; i++) {
    double value =
        load(first.root == reduceAll ? first.from : calls[static_cast<std::size_t>(first.root)].from, first.dtype, i);
    for (std::size_t rank = 1; first.root == reduceAll && rank < calls.size(); rank++)
      value = combine(first.operation, value, load(calls[rank].from, first.dtype, i));
    if (first.root == reduceAll && first.operation == ncclMean) value /= static_cast<double>(calls.size());
    for (const Call& call : calls) store(call.to, first.dtype, i, value);
  }
}

// All ranks are there: the last one does the work, for everybody.
int start(Clique& clique) {
  std::vector<Call> calls;
  for (std::unique_ptr<Call>& call : clique.calls) calls.push_back(*std::exchange(call, nullptr));
  for (const Call& call : calls)
    if (!call.agrees(calls.front())) return refuse(invalidUsage, "ranks ask for different collectives");
  void* const stream = calls.back().stream;
  return fakes::queue(stream, [calls = std::move(calls)] { compute(calls); })
             ? ncclDone
             : refuse(invalidUsage, "the stream does not take it");
}

// Enters every call, then waits until the collectives they belong to are done.
int run(const std::vector<std::pair<ncclComm*, Call>>& calls) {
  std::unique_lock<std::mutex> lock(mutex);
  int outcome = ncclDone;
  for (const auto& [communicator, call] : calls) {
    Clique& clique = *communicator->clique;
    std::unique_ptr<Call>& mine = clique.calls[static_cast<std::size_t>(communicator->rank)];
    if (mine != nullptr) return refuse(invalidUsage, "a second collective before the first is done");
    mine = std::make_unique<Call>(call);
    if (++clique.arrived < clique.ranks) continue;
    clique.arrived = 0;
    clique.outcome = start(clique);
    changed.notify_all();
  }
  for (const auto& entry : calls) {
    const Clique& clique = *entry.first->clique;
    const auto rank = static_cast<std::size_t>(entry.first->rank);
    changed.wait(lock, [&] { return clique.calls[rank] == nullptr; });
    if (clique.outcome != ncclDone) outcome = clique.outcome;
  }
  return outcome;
}

int ask(ncclComm* communicator, const Call& call) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (communicators.count(communicator) == 0) return refuse(invalidArgument, "no communicator");
  }
  if (call.dtype != ncclI32 && call.dtype != ncclF32 && call.dtype != ncclBf16)
    return refuse(invalidArgument, "a type that this stand-in does not know");
  if (call.operation < ncclAdd || call.operation > ncclMean) return refuse(invalidArgument, "no such operation");
  if (call.root != reduceAll && (call.root < 0 || call.root >= communicator->clique->ranks))
    return refuse(invalidArgument, "a root that is no rank");
  const std::size_t bytes = call.count * bytesOf(call.dtype);
  const bool sends = call.root == reduceAll || call.root == communicator->rank;
  if ((sends && !fakes::onDevice(call.from, bytes)) || !fakes::onDevice(call.to, bytes))
    return refuse(invalidArgument, "memory that is not on the device, or ends too early");
  const auto from = reinterpret_cast<std::uintptr_t>(call.from), to = reinterpret_cast<std::uintptr_t>(call.to);
  if (sends && from != to && from < to + bytes && to < from + bytes)
    return refuse(invalidArgument, "results that overlap with what is sent");
  if (group.depth == 0) return run({{communicator, call}});
  group.calls.emplace_back(communicator, call);
  return ncclDone;
}

void waitForAll(const Clique& clique) {
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return static_cast<int>(clique.joined.size()) == clique.ranks; });
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int ncclGetVersion(int* version) {
  *version = 23007;
  return ncclDone;
}

EXPORT const char* ncclGetErrorString(int result) {
  return result == ncclDone ? "no error" : result == invalidArgument ? "invalid argument" : "invalid usage";
}

EXPORT int ncclGetUniqueId(NcclUniqueId* id) {
  const std::lock_guard<std::mutex> lock(mutex);
  std::memset(id, 0, sizeof(*id));
  std::snprintf(id->internal, sizeof(id->internal), "fake %llu", static_cast<unsigned long long>(++identifiers));
  cliques[id->internal];
  return ncclDone;
}

EXPORT int ncclCommInitRank(NcclCommunicator* communicator, int ranks, NcclUniqueId id, int rank) {
  if (ranks < 1 || rank < 0 || rank >= ranks) return refuse(invalidArgument, "a rank out of range");
  std::shared_ptr<Clique> clique;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = cliques.find(std::string(id.internal, strnlen(id.internal, sizeof(id.internal))));
    if (found == cliques.end()) return refuse(invalidArgument, "an identifier that nobody has given");
    if (found->second == nullptr) found->second = std::make_shared<Clique>(ranks);
    clique = found->second;
    if (clique->ranks != ranks) return refuse(invalidArgument, "ranks differ in how many they are");
    if (!clique->joined.insert(rank).second) return refuse(invalidUsage, "a rank that has joined already");
    auto made = std::make_unique<ncclComm>(ncclComm{clique, rank});
    communicators.insert(made.get());
    *communicator = made.release();
    changed.notify_all();
  }
  if (group.depth == 0) {
    waitForAll(*clique);
  } else {
    group.joins.push_back(clique);
  }
  return ncclDone;
}

EXPORT int ncclCommDestroy(NcclCommunicator communicator) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (communicators.erase(communicator) == 0) return refuse(invalidArgument, "no communicator");
  const std::unique_ptr<ncclComm> owned(communicator);
  return ncclDone;
}

EXPORT int ncclAllReduce(const void* from, void* to, std::size_t count, int dtype, int operation,
                         NcclCommunicator communicator, CUstream stream) {
  return ask(communicator, {from, to, count, dtype, operation, reduceAll, stream});
}

EXPORT int ncclBroadcast(const void* from, void* to, std::size_t count, int dtype, int root,
                         NcclCommunicator communicator, CUstream stream) {
  if (root == reduceAll) return refuse(invalidArgument, "a root that is no rank");
  return ask(communicator, {from, to, count, dtype, ncclAdd, root, stream});
}

EXPORT int ncclGroupStart() {
  group.depth++;
  return ncclDone;
}

EXPORT int ncclGroupEnd() {
  if (group.depth == 0) return refuse(invalidUsage, "the end of a group that was not started");
  if (--group.depth > 0) return ncclDone;
  const Group whole = std::exchange(group, {});
  for (const std::shared_ptr<Clique>& clique : whole.joins) waitForAll(*clique);
  return run(whole.calls);
}
