#include "core/cudaDevice.h"

#include <dlfcn.h>

#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/kernel.h"
#include "core/registry.h"

namespace secateur {

namespace {

[[noreturn]] void raise(const Failure& failure) { throw Error(failure.code, failure.message); }

std::string opNames() {
  std::string names;
  for (std::uint32_t op = 0; op < opCount; op++) names += std::string(opName(op)) + "\n";
  return names;
}

const BackendTable* load() {
  // Beside this addon.
  Dl_info self{};
  dladdr(reinterpret_cast<void*>(&load), &self);
  const std::string addon = self.dli_fname;
  const std::string path = addon.substr(0, addon.rfind('/') + 1) + "libsecateur_cuda.so";
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error("ERR_CUDA_UNAVAILABLE", "the CUDA backend is not built (" + path +
                                            "): the build found no nvcc 13. Install the CUDA toolkit 13 and run "
                                            "npm rebuild secateur, or use device 'cpu'.");
  }
  const auto entry = reinterpret_cast<BackendEntry>(dlsym(library, "secateur_backend"));
  const BackendTable* table = entry == nullptr ? nullptr : entry();
  if (table == nullptr || table->version != backendVersion || opNames() != table->ops) {
    throw Error("ERR_CUDA_UNAVAILABLE",
                path + " was built from other sources than the addon. Build both again: npm rebuild secateur.");
  }
  return table;
}

}  // namespace

const BackendTable& cudaBackend() {
  static const BackendTable* const table = load();
  return *table;
}

// What was recorded of a step: on the queue's thread, the calls that hold changing numbers.
class CudaDevice::Recording {
 public:
  struct Call {
    std::uint32_t op;
    std::size_t offset;
    std::shared_ptr<RefreshableTask> task;
  };
  std::uint32_t number = 0;
  std::uint32_t nextCall = 0;  // the host's count
  std::map<std::uint32_t, Call> calls;
  std::set<std::uint32_t> changed;  // calls whose numbers the device does not have yet
  std::size_t nodes = 0;
};

CudaDevice::CudaDevice(const BackendTable& table) : Device("cuda"), table_(table) {
  Failure failure;
  if (!table_.open(&failure)) raise(failure);
  kernels_.resize(opCount);
  for (std::uint32_t op = 0; op < opCount; op++) {
    for (const KernelRecord* k = table_.kernelsBegin(); k != table_.kernelsEnd(); k++) {
      if (std::strcmp(k->op, opName(op)) == 0) kernels_[op] = true;
    }
  }
}

CudaDevice::~CudaDevice() {
  queue().drain();
  allocator().trim();
}

void CudaDevice::run(std::uint32_t op, const void* args) {
  Failure failure;
  if (!table_.run(op, args, &failure)) raise(failure);
}

void CudaDevice::wait() {
  if (recording_ != nullptr) {
    throw Error("ERR_CUDA",
                "a step that is being captured cannot wait for values (item, data, synchronize): read them after it.");
  }
  try {
    queue().wait();
  } catch (const Error& e) {
    // Scratch memory comes from the driver: what is only cached makes room for the next try.
    if (e.code() == "ERR_OOM") allocator().trim();
    throw;
  }
  settle();
}

void CudaDevice::settle() {
  Failure failure;
  if (!table_.synchronize(&failure)) raise(failure);
}

namespace {

class SendTask final : public Task {
 public:
  SendTask(const BackendTable& table, void* piece, void* to, std::size_t bytes)
      : table_(table), piece_(piece), to_(to), bytes_(bytes) {}
  ~SendTask() override {
    if (piece_ != nullptr) table_.giveBackStaged(piece_);
  }
  SendTask(const SendTask&) = delete;
  SendTask& operator=(const SendTask&) = delete;
  void run() override {
    Failure failure;
    if (!table_.sendStaged(piece_, to_, bytes_, &failure)) raise(failure);
    piece_ = nullptr;
  }
  const char* name() const override { return "upload"; }

 private:
  const BackendTable& table_;
  void* piece_;
  void* to_;
  std::size_t bytes_;
};

}  // namespace

void CudaDevice::upload(void* to, std::size_t bytes, bool, const std::function<void(void*)>& fill) {
  if (bytes == 0) return;
  Failure failure;
  void* piece = nullptr;
  if (!table_.stage(bytes, &piece, &failure)) raise(failure);
  auto task = std::make_unique<SendTask>(table_, piece, to, bytes);
  fill(piece);
  queue().push(std::move(task));
}

void CudaDevice::download(const void* from, std::size_t bytes, const std::function<void(const void*)>& read) {
  wait();
  std::vector<char> host(bytes);
  Failure failure;
  if (!table_.download(host.data(), from, bytes, &failure)) raise(failure);
  read(host.data());
}

void* CudaDevice::fromSystem(std::size_t bytes) {
  Failure failure;
  void* data = nullptr;
  if (table_.allocate(bytes, &data, &failure)) return data;
  if (std::strcmp(failure.code, "ERR_OOM") == 0) return nullptr;
  raise(failure);
}

void CudaDevice::toSystem(void* data) { table_.release(data); }

std::size_t CudaDevice::capacity() {
  Failure failure;
  std::size_t total = 0;
  if (!table_.memoryBytes(&total, &failure)) raise(failure);
  return total;
}

namespace {

// A piece of work for the queue that is not an op.
class Errand final : public Task {
 public:
  Errand(const char* name, bool always, std::function<void()> work)
      : name_(name), always_(always), work_(std::move(work)) {}
  void run() override { work_(); }
  const char* name() const override { return name_; }
  bool always() const override { return always_; }

 private:
  const char* name_;
  bool always_;
  std::function<void()> work_;
};

}  // namespace

std::uint32_t CudaDevice::beginCapture() {
  if (recording_ != nullptr) throw Error("ERR_CUDA", "a step is being captured already; captures do not nest.");
  wait();
  auto recording = std::make_shared<Recording>();
  queue().push(std::make_unique<Errand>("capture", false, [this, recording] {
    Failure failure;
    if (!table_.captureBegin(&recording->number, &failure)) raise(failure);
  }));
  queue().wait();
  recording_ = recording;
  allocator().beginCapture(recording->number);
  return recording->number;
}

std::size_t CudaDevice::endCapture() {
  if (recording_ == nullptr) throw Error("ERR_CUDA", "no step is being captured.");
  const std::shared_ptr<Recording> recording = std::exchange(recording_, nullptr);
  allocator().endCapture();
  queue().push(std::make_unique<Errand>("capture", true, [this, recording] {
    Failure failure;
    if (!table_.captureEnd(recording->number, &recording->nodes, &failure)) raise(failure);
  }));
  try {
    queue().wait();
  } catch (...) {
    releaseGraph(recording->number);
    throw;
  }
  recordings_.emplace(recording->number, recording);
  return recording->nodes;
}

std::unique_ptr<Task> CudaDevice::recorded(std::uint32_t op, std::shared_ptr<RefreshableTask> task) {
  const std::uint32_t call = recording_->nextCall++;
  const char* name = opName(op);
  return std::make_unique<Errand>(name, false, [this, op, call, recording = recording_, task = std::move(task)] {
    if (task == nullptr) return;  // an op with nothing to do
    const std::size_t before = table_.liveOffset();
    run(op, task->args());
    if (table_.liveOffset() != before) recording->calls.emplace(call, Recording::Call{op, before, task});
  });
}

void CudaDevice::replay(std::uint32_t graph, std::vector<double> updates) {
  const auto found = recordings_.find(graph);
  if (found == recordings_.end()) throw Error("ERR_DISPOSED", "this captured step was disposed.");
  // Even where the launch is passed over: the next one has to know these numbers.
  if (!updates.empty()) {
    queue().push(std::make_unique<Errand>("replay", true, [recording = found->second, updates = std::move(updates)] {
      for (std::size_t at = 0; at + 2 <= updates.size();) {
        const auto call = static_cast<std::uint32_t>(updates[at]);
        const auto count = static_cast<std::size_t>(updates[at + 1]);
        at += 2;
        const auto kept = recording->calls.find(call);
        if (kept != recording->calls.end()) {
          kept->second.task->refresh(updates.data() + at, count);
          recording->changed.insert(call);
        }
        at += count;
      }
    }));
  }
  queue().push(std::make_unique<Errand>("replay", false, [this, recording = found->second] {
    Failure failure;
    if (!table_.replayBegin(recording->number, &failure)) raise(failure);
    for (const std::uint32_t at : recording->changed) {
      const Recording::Call& call = recording->calls.at(at);
      if (!table_.replayOp(call.op, call.task->args(), call.offset, &failure)) raise(failure);
    }
    recording->changed.clear();
    if (!table_.replayLaunch(recording->number, &failure)) raise(failure);
  }));
}

void CudaDevice::releaseGraph(std::uint32_t graph) {
  queue().drain();
  table_.graphRelease(graph);
  recordings_.erase(graph);
  allocator().forget(graph);
}

std::unique_ptr<CudaDevice>& cudaSlot() {
  static std::unique_ptr<CudaDevice> slot;
  return slot;
}

CudaDevice& openCuda() {
  std::unique_ptr<CudaDevice>& slot = cudaSlot();
  if (slot == nullptr) slot = std::make_unique<CudaDevice>(cudaBackend());
  return *slot;
}

Device& cudaDevice() { return openCuda(); }

}  // namespace secateur
