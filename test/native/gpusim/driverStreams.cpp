// Chapter 15: the driver's streams, events, captured graphs, and the names of its errors.
#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "driver.h"

namespace gpusim {

namespace {

bool deferring() {
  static const bool wanted = setting("SECATEUR_GPUSIM_DEFER", 0) != 0;
  return wanted;
}

// Without waits for events, to see that they matter.
bool heedsEvents() { return setting("SECATEUR_GPUSIM_EVENTS", 1) != 0; }

std::uint64_t draw(std::uint64_t below) {
  static std::mt19937_64 random(setting("SECATEUR_GPUSIM_SEED", 1));
  return random() % below;
}

bool isStream(const Stream* stream) {
  const auto& all = state().streams;
  return std::find(all.begin(), all.end(), stream) != all.end();
}

// Does the next piece of some stream; false when none can go on.
bool step() {
  std::vector<Stream*> able;
  for (Stream* s : state().streams) {
    if (s->queue.empty()) continue;
    const Queued& next = s->queue.front();
    if (next.until == nullptr || next.until->reached >= next.count) able.push_back(s);
  }
  if (able.empty()) return false;
  Stream* const s = able[draw(able.size())];
  const Queued next = std::move(s->queue.front());
  s->queue.pop_front();
  const CUresult status = next.work();
  if (status != success && state().sticky == success) state().sticky = status;
  return true;
}

template <class Done>
CUresult runUntil(Done done) {
  while (!done()) {
    if (state().sticky != success) return state().sticky;
    if (!step()) return state().sticky = launchTimeout;  // streams wait for each other
  }
  return state().sticky;
}

CUresult push(Stream* stream, Queued piece) {
  stream->queue.push_back(std::move(piece));
  if (stream->queue.size() > 4096) return finish(stream);
  // As a rule the device is far behind; now and then it catches up a little.
  if (draw(8) == 0) {
    for (std::uint64_t n = draw(16); n > 0 && step(); n--) continue;
  }
  return success;
}

}  // namespace

CUresult enqueue(Stream* stream, std::function<CUresult()> work) {
  if (stream != nullptr && !isStream(stream)) return invalidHandle;
  if (stream != nullptr && stream->capturing != nullptr) {
    stream->capturing->nodes.push_back(std::move(work));
    return success;
  }
  if (deferring() && stream != nullptr) return push(stream, {std::move(work)});
  // The default stream is in step with all that did not ask to be left alone.
  for (const Stream* s : state().streams) {
    const CUresult status = s->nonBlocking ? success : finish(s);
    if (status != success) return status;
  }
  return work();
}

CUresult finish(const Stream* stream) {
  return runUntil([&] { return stream->queue.empty(); });
}

CUresult finishAll() {
  for (const Stream* s : state().streams) {
    const CUresult status = finish(s);
    if (status != success) return status;
  }
  return success;
}

}  // namespace gpusim

using namespace gpusim;

namespace {

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
    case notReady:
      return "CUDA_ERROR_NOT_READY";
    case launchTimeout:
      return "CUDA_ERROR_LAUNCH_TIMEOUT";
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
    case captureInvalidated:
      return "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED";
    default:
      return nullptr;
  }
}

}  // namespace

CALL cuStreamCreate(void** stream, unsigned flags) {
  return guarded([&] {
    auto* s = new Stream();
    s->nonBlocking = flags == 1;
    state().streams.push_back(s);
    *stream = s;
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamDestroy_v2(void* stream) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (!isStream(s)) return static_cast<CUresult>(invalidHandle);
    const CUresult status = finish(s);
    auto& all = state().streams;
    all.erase(std::find(all.begin(), all.end(), s));
    delete s;
    return status;
  });
}
CALL cuStreamSynchronize(void* stream) {
  return guarded([&] {
    const auto* s = static_cast<Stream*>(stream);
    if (s == nullptr) return finishAll();
    return s->capturing != nullptr ? static_cast<CUresult>(captureUnsupported) : finish(s);
  });
}
CALL cuStreamBeginCapture_v2(void* stream, int mode) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s == nullptr || s->capturing != nullptr) return static_cast<CUresult>(invalidValue);
    s->capturing = *state().graphs.insert(new Graph()).first;
    state().capturing = s;
    constexpr int relaxed = 2;
    state().capturer = mode == relaxed ? std::thread::id() : std::this_thread::get_id();
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamEndCapture(void* stream, void** graph) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s == nullptr || s->capturing == nullptr) return static_cast<CUresult>(invalidValue);
    Graph* const made = std::exchange(s->capturing, nullptr);
    state().capturing = nullptr;
    *graph = made->invalid ? nullptr : made;
    return static_cast<CUresult>(made->invalid ? captureInvalidated : success);
  });
}
// Work of the host in the order of the stream: what the stand-ins for libraries compute by.
CALL cuLaunchHostFunc(void* stream, void (*work)(void*), void* data) {
  return guarded([&] {
    return enqueue(static_cast<Stream*>(stream), [=] {
      work(data);
      return static_cast<CUresult>(success);
    });
  });
}
CALL cuGraphGetNodes(void* graph, void**, std::size_t* count) {
  *count = static_cast<Graph*>(graph)->nodes.size();
  return success;
}
CALL cuGraphInstantiateWithFlags(void** exec, void* graph, unsigned long long) {
  return guarded([&] {
    *exec = *state().graphs.insert(new Graph(*static_cast<Graph*>(graph))).first;
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphLaunch(void* exec, void* stream) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s != nullptr && s->capturing != nullptr) return static_cast<CUresult>(captureUnsupported);
    for (const auto& node : static_cast<Graph*>(exec)->nodes) {
      const CUresult status = enqueue(s, node);
      if (status != success) return status;
    }
    return static_cast<CUresult>(success);
  });
}
CALL cuGraphDestroy(void* graph) {
  return guarded([&] {
    if (state().graphs.erase(static_cast<Graph*>(graph)) == 0) return static_cast<CUresult>(invalidValue);
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
CALL cuEventRecord(void* event, void* stream) {
  return guarded([&] {
    auto* e = static_cast<Event*>(event);
    auto* s = static_cast<Stream*>(stream);
    // In a captured step it is nobody's business.
    if (s != nullptr && s->capturing != nullptr) return static_cast<CUresult>(success);
    const std::uint64_t count = ++e->recorded;
    return enqueue(s, [e, count] {
      e->reached = count;
      return static_cast<CUresult>(success);
    });
  });
}
CALL cuStreamWaitEvent(void* stream, void* event, unsigned) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    const auto* e = static_cast<Event*>(event);
    if (!isStream(s)) return static_cast<CUresult>(invalidHandle);
    if (!deferring() || !heedsEvents()) return static_cast<CUresult>(success);
    return push(s, {[] { return static_cast<CUresult>(success); }, e, e->recorded});
  });
}
CALL cuEventQuery(void* event) {
  return guarded([&] {
    const auto* e = static_cast<Event*>(event);
    for (std::uint64_t n = draw(4); n > 0 && step(); n--) continue;
    return static_cast<CUresult>(e->reached >= e->recorded || !heedsEvents() ? success : notReady);
  });
}
CALL cuEventSynchronize(void* event) {
  return guarded([&] {
    const auto* e = static_cast<Event*>(event);
    return heedsEvents() ? runUntil([&] { return e->reached >= e->recorded; }) : static_cast<CUresult>(success);
  });
}
CALL cuEventElapsedTime_v2(float* milliseconds, void*, void*) {
  *milliseconds = 0;  // a simulated GPU has no clock
  return guarded([] { return static_cast<CUresult>(success); });
}
CALL cuEventDestroy_v2(void* event) {
  return guarded([&] {
    const CUresult status = finishAll();
    delete static_cast<Event*>(event);
    return status;
  });
}
CALL cuGetErrorName(CUresult error, const char** name) {
  *name = nameOf(error);
  return *name == nullptr ? invalidValue : success;
}
CALL cuGetErrorString(CUresult error, const char** text) {
  *text = error == state().sticky && !state().lastFault.empty() ? state().lastFault.c_str() : nameOf(error);
  return *text == nullptr ? invalidValue : success;
}
