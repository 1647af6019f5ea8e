// The table between the addon and a backend library that is opened at run time: plain C, no exception passes it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace secateur {

struct KernelRecord;

// What went wrong: a code and a sentence.
struct Failure {
  char code[32];
  char message[2000];
};

// Every function that can fail gives true when it did not; otherwise `failure` is filled.
struct BackendTable {
  std::uint32_t version;
  // Names of all ops in the order of their numbers, each followed by a newline: both sides were built from the same
  // declarations.
  const char* ops;

  // Opens the device. Cheap when it is open.
  bool (*open)(Failure* failure);
  // What was found, as JSON: device, driver, libraries and the places that were tried. Needs no open device.
  const char* (*describe)();
  const KernelRecord* (*kernelsBegin)();
  const KernelRecord* (*kernelsEnd)();

  bool (*allocate)(std::size_t bytes, void** data, Failure* failure);
  void (*release)(void* data);
  bool (*memoryBytes)(std::size_t* total, Failure* failure);

  // Host memory that the device copies from at full speed: take, fill, send. Taking is allowed on any thread.
  bool (*stage)(std::size_t bytes, void** piece, Failure* failure);
  bool (*sendStaged)(void* piece, void* to, std::size_t bytes, Failure* failure);
  void (*giveBackStaged)(void* piece);
  // Waits for all work first.
  bool (*download)(void* to, const void* from, std::size_t bytes, Failure* failure);

  bool (*run)(std::uint32_t op, const void* args, Failure* failure);
  bool (*synchronize)(Failure* failure);

  // Captured steps. Between begin and end, `run` records; `liveOffset` says where the call's changing numbers begin.
  bool (*captureBegin)(std::uint32_t* graph, Failure* failure);
  bool (*captureEnd)(std::uint32_t graph, std::size_t* nodes, Failure* failure);
  std::size_t (*liveOffset)();
  // replayBegin, replayOp for each call whose numbers changed, replayLaunch.
  bool (*replayBegin)(std::uint32_t graph, Failure* failure);
  bool (*replayOp)(std::uint32_t op, const void* args, std::size_t offset, Failure* failure);
  bool (*replayLaunch)(std::uint32_t graph, Failure* failure);
  void (*graphRelease)(std::uint32_t graph);
};

constexpr std::uint32_t backendVersion = 1;
using BackendEntry = const BackendTable* (*)();

}  // namespace secateur
