// Chapter 13: what the driver's entry points share. Work is done in the calling thread: at once, or where
// SECATEUR_GPUSIM_DEFER asks for it, as late as a real GPU may; a captured stream records instead.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "machine.h"

namespace gpusim {

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
  notReady = 600,
  launchTimeout = 702,
  captureUnsupported = 900,
  captureInvalidated = 901
};

struct Graph {
  std::vector<std::function<CUresult()>> nodes;
  bool invalid = false;
};
// How often an event was recorded, and which of these the device has come to.
struct Event {
  std::uint64_t recorded = 0, reached = 0;
};
struct Queued {
  std::function<CUresult()> work;
  const Event* until = nullptr;  // waits for this event
  std::uint64_t count = 0;       // to have been reached so often
};
struct Stream {
  Graph* capturing = nullptr;
  bool nonBlocking = false;
  std::deque<Queued> queue;
};
// The driver's state, behind one lock.
struct DriverState {
  std::recursive_mutex mutex;
  bool initialised = false;
  CUresult sticky = success;  // the fault that ended the context
  std::string lastFault;
  std::vector<Stream*> streams;  // in the order in which they were made
  std::set<Graph*> graphs;
  Stream* capturing = nullptr;
  std::thread::id capturer;  // the thread that may not make unsafe calls meanwhile; none in the relaxed mode
};
DriverState& state();

std::uint64_t setting(const char* name, std::uint64_t otherwise);
std::uint64_t deviceBytes();

// What every call that touches the device begins with.
CUresult ready();

// Runs `body` under the lock, after the usual checks.
template <class Body>
CUresult guarded(Body body) {
  const std::lock_guard<std::recursive_mutex> lock(state().mutex);
  const CUresult status = ready();
  return status != success ? status : static_cast<CUresult>(body());
}

// Calls that the documentation of the capture modes counts as unsafe begin with this: from the thread that captures
// they fail, and the capture with them.
CUresult unsafe();

// Does the work, now or later, or records it when the stream is being captured.
CUresult enqueue(Stream* stream, std::function<CUresult()> work);
// Does what is queued in an order that the streams and events allow, drawn from the seed: all of one stream, or of all.
CUresult finish(const Stream* stream);
CUresult finishAll();

}  // namespace gpusim

#define CALL extern "C" __attribute__((visibility("default"))) gpusim::CUresult
