// Chapter 15: the driver's streams, events, captured graphs, and the names of its errors.
#include <utility>

#include "driver.h"

namespace gpusim {

CUresult enqueue(Stream* stream, std::function<CUresult()> work) {
  if (stream != nullptr && state().streams.count(stream) == 0) return invalidHandle;
  if (stream != nullptr && stream->capturing != nullptr) {
    stream->capturing->nodes.push_back(std::move(work));
    return success;
  }
  return work();
}

}  // namespace gpusim

using namespace gpusim;

namespace {

struct Event {
  double milliseconds = 0;
};

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

}  // namespace

CALL cuStreamCreate(void** stream, unsigned) {
  return guarded([&] {
    *stream = *state().streams.insert(new Stream()).first;
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamDestroy_v2(void* stream) {
  return guarded([&] {
    if (state().streams.erase(static_cast<Stream*>(stream)) == 0) return static_cast<CUresult>(invalidHandle);
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
    s->capturing = *state().graphs.insert(new Graph()).first;
    state().capturing = s;
    return static_cast<CUresult>(success);
  });
}
CALL cuStreamEndCapture(void* stream, void** graph) {
  return guarded([&] {
    auto* s = static_cast<Stream*>(stream);
    if (s == nullptr || s->capturing == nullptr) return static_cast<CUresult>(invalidValue);
    *graph = std::exchange(s->capturing, nullptr);
    state().capturing = nullptr;
    return static_cast<CUresult>(success);
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
  *text = error == state().sticky && !state().lastFault.empty() ? state().lastFault.c_str() : nameOf(error);
  return *text == nullptr ? invalidValue : success;
}
