// The addon: ten functions over the handle table, the queue and the op table. Nothing that throws here reaches Node
// uncaught: `guard` turns every C++ exception into a JavaScript error with a code.
#include <dnnl.h>
#include <omp.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/cudaDevice.h"
#include "core/device.h"
#include "core/registry.h"
#include "napi/decoder.h"
#include "napi/entries.h"
#include "ops_generated.h"

namespace secateur {

double* block = nullptr;

Device& deviceArgument(const Napi::Value& value) {
  return deviceOf(value.As<Napi::Number>().Uint32Value() == 1 ? DeviceCode::cuda : DeviceCode::cpu);
}

Napi::Array kernelList(Napi::Env env, const KernelRecord* begin, const KernelRecord* end) {
  auto list = Napi::Array::New(env);
  std::uint32_t at = 0;
  for (const KernelRecord* k = begin; k != end; k++) {
    auto entry = Napi::Object::New(env);
    entry.Set("op", k->op);
    entry.Set("isa", isaName(k->isa));
    entry.Set("dtypes", k->dtypes);
    list.Set(at++, entry);
  }
  return list;
}

namespace {

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value guard(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto raise = [&](const std::string& code, const char* message) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", code);
    error.ThrowAsJavaScriptException();
  };
  try {
    return function(info);
  } catch (const Napi::Error& e) {
    e.ThrowAsJavaScriptException();
  } catch (const Error& e) {
    raise(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    raise("ERR_OOM", "out of memory on the host.");
  } catch (const std::exception& e) {
    raise("ERR_KERNEL", e.what());
  } catch (...) {
    raise("ERR_KERNEL", "unknown native failure");
  }
  return env.Undefined();
}

template <class Args, class = void>
struct Refreshes : std::false_type {};
template <class Args>
struct Refreshes<Args, std::void_t<decltype(std::declval<Args&>().refresh(std::declval<Decoder&>()))>>
    : std::true_type {};

template <class Args, class = void>
struct Packs : std::false_type {};
template <class Args>
struct Packs<Args, std::void_t<decltype(std::declval<Args&>().packed)>> : std::true_type {};

template <class Op>
class OpTask final : public RefreshableTask {
 public:
  OpTask(std::uint32_t id, Device& device, Decoder& decoder)
      : id_(id), device_(device), args_(Op::Args::decode(decoder)) {
    if constexpr (Packs<typename Op::Args>::value) {
      if (decoder.nothingToDo()) return;
      Layout layout = device.layout(id, &args_);
      layout.op = id;
      if (layout.bytes > 0) args_.packed = decoder.packed(layout);
    }
  }
  void run() override { device_.run(id_, &args_); }
  const char* name() const override { return opName(id_); }
  const void* args() const override { return &args_; }
  void refresh(const double* values, std::size_t count) override {
    if constexpr (Refreshes<typename Op::Args>::value) {
      Decoder decoder(values, count, device_);
      args_.refresh(decoder);
    } else {
      static_cast<void>(values);
      static_cast<void>(count);
    }
  }

 private:
  std::uint32_t id_;
  Device& device_;
  typename Op::Args args_;
};

template <class Op>
std::unique_ptr<RefreshableTask> makeTask(std::uint32_t id, Device& device, Decoder& decoder) {
  return std::make_unique<OpTask<Op>>(id, device, decoder);
}

using Maker = std::unique_ptr<RefreshableTask> (*)(std::uint32_t, Device&, Decoder&);
constexpr Maker makers[] = {
#define SECATEUR_OP_MAKER(name) &makeTask<ops::name>,
    SECATEUR_OPS(SECATEUR_OP_MAKER)
#undef SECATEUR_OP_MAKER
};

Napi::Value run(const Napi::CallbackInfo& info) {
  const std::uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  if (id >= opCount) throw Error("ERR_NO_KERNEL", "no op has number " + std::to_string(id) + ".");
  Device& device = deviceArgument(info[1]);
  if (!device.hasKernel(id)) {
    throw Error("ERR_NO_KERNEL", std::string(opName(id)) + " has no kernel for this " +
                                     (&device == &cpuDevice() ? "processor (needs at least AVX2 and FMA)." : "GPU."));
  }
  Decoder decoder(block, blockLength, device);
  std::unique_ptr<RefreshableTask> task;
  try {
    task = makers[id](id, device, decoder);
  } catch (...) {
    decoder.abandon();
    throw;
  }
  CudaDevice* recording = &device == &cpuDevice() || !openCuda().capturing() ? nullptr : &openCuda();
  // A captured step counts every call, so that both sides count alike.
  if (recording != nullptr)
    device.queue().push(recording->recorded(id, decoder.nothingToDo() ? nullptr : std::move(task)));
  else if (!decoder.nothingToDo())
    device.queue().push(std::move(task));
  decoder.giveBack(block);
  return info.Env().Undefined();
}

// A tensor that shares another's storage: same dtype, its extents in the block, `offset` elements further on.
Napi::Value view(const Napi::CallbackInfo& info) {
  const Handle handle = info[0].As<Napi::Number>().Uint32Value();
  const auto offset = static_cast<std::size_t>(info[1].As<Napi::Number>().Int64Value());
  const View& from = handles().view(handle);
  View v;
  v.dtype = from.dtype;
  const std::shared_ptr<Storage> storage = handles().storage(handle);
  Decoder(block, blockLength, storage->device()).dims(v);
  const std::size_t start =
      static_cast<std::size_t>(static_cast<char*>(from.data) - static_cast<char*>(storage->data()));
  const std::size_t offsetBytes = start + offset * bytesOf(v.dtype);
  if (offsetBytes + static_cast<std::size_t>(v.size()) * bytesOf(v.dtype) > storage->bytes()) {
    throw Error("ERR_SHAPE_MISMATCH", "a view would reach past the end of its storage.");
  }
  return Napi::Number::New(info.Env(), handles().create(storage, offsetBytes, v));
}

Napi::Value release(const Napi::CallbackInfo& info) {
  const std::uint32_t n = info[0].As<Napi::Number>().Uint32Value();
  for (std::uint32_t i = 0; i < n && i < blockLength; i++) handles().release(static_cast<Handle>(block[i]));
  return info.Env().Undefined();
}

Napi::Value sync(const Napi::CallbackInfo& info) {
  deviceArgument(info[0]).wait();
  return info.Env().Undefined();
}

// The process ends: waits for the queues, whatever went wrong in them.
Napi::Value finish(const Napi::CallbackInfo& info) {
  cpuDevice().queue().finish();
  if (cudaSlot() != nullptr) cudaSlot()->queue().finish();
  return info.Env().Undefined();
}

// A marker in the queue that resolves a promise from the event loop when its turn comes.
class Flush final : public Task {
 public:
  Flush(Napi::Env env, Device& device)
      : device_(device),
        deferred_(std::make_shared<Napi::Promise::Deferred>(env)),
        notify_(Napi::ThreadSafeFunction::New(env, Napi::Function(), "secateur flush", 0, 1)) {}
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;
  Napi::Value promise() const { return deferred_->Promise(); }
  // The queue's turn has come; on a GPU the work may still be under way.
  void run() override { device_.settle(); }
  // Resolves even after an error upstream: whoever reads next is told of it.
  ~Flush() override {
    notify_.BlockingCall([deferred = deferred_](Napi::Env env, Napi::Function) {
      try {
        deferred->Resolve(env.Undefined());
      } catch (const Napi::Error&) {
        // The process ends: no JavaScript runs any more.
      }
    });
    notify_.Release();
  }
  const char* name() const override { return "flush"; }

 private:
  Device& device_;
  std::shared_ptr<Napi::Promise::Deferred> deferred_;
  Napi::ThreadSafeFunction notify_;
};

Napi::Value flush(const Napi::CallbackInfo& info) {
  Device& device = deviceArgument(info[0]);
  auto task = std::make_unique<Flush>(info.Env(), device);
  const Napi::Value promise = task->promise();
  device.queue().push(std::move(task));
  return promise;
}

Napi::Value ops(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  for (std::uint32_t i = 0; i < opCount; i++) list.Set(i, opName(i));
  return list;
}

Napi::Value kernels(const Napi::CallbackInfo& info) { return kernelList(info.Env(), kernelsBegin(), kernelsEnd()); }

Napi::Value memoryStats(const Napi::CallbackInfo& info) {
  Device& device = deviceArgument(info[0]);
  const MemoryStats s = device.allocator().stats();
  auto out = Napi::Object::New(info.Env());
  const auto set = [&](const char* key, std::size_t value) { out.Set(key, static_cast<double>(value)); };
  set("live", s.live);
  set("peak", s.peak);
  set("cached", s.cached);
  set("reserved", s.live + s.cached + device.scratchBytes());
  set("limit", s.limit);
  set("packed", device.packing().bytes);
  set("reorders", device.packing().reorders);
  set("tensors", handles().alive());
  set("allocations", s.allocations);
  set("systemAllocations", s.systemAllocations);
  return out;
}

Napi::Value resetPeak(const Napi::CallbackInfo& info) {
  deviceArgument(info[0]).allocator().resetPeak();
  return info.Env().Undefined();
}

Napi::Value setLimit(const Napi::CallbackInfo& info) {
  const double bytes = info[1].As<Napi::Number>().DoubleValue();
  if (!(bytes > 0)) throw Error("ERR_ARGUMENT", "memory.setLimit needs a number of bytes above 0.");
  deviceArgument(info[0]).allocator().setLimit(static_cast<std::size_t>(bytes));
  return info.Env().Undefined();
}

Napi::Value setPacking(const Napi::CallbackInfo& info) {
  deviceArgument(info[0]).packing().on = info[1].As<Napi::Boolean>().Value();
  return info.Env().Undefined();
}

Napi::Value emptyCache(const Napi::CallbackInfo& info) {
  Device& device = deviceArgument(info[0]);
  device.wait();
  device.allocator().trim();
  return info.Env().Undefined();
}

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  const int n = info[0].As<Napi::Number>().Int32Value();
  if (n < 1) throw Error("ERR_ARGUMENT", "the number of threads must be 1 or more.");
  class SetThreads final : public Task {
   public:
    explicit SetThreads(int n) : n_(n) {}
    // On the executor, since OpenMP keeps the number per thread.
    void run() override {
      setThreadCount(n_);
      omp_set_num_threads(n_);
    }
    const char* name() const override { return "setThreads"; }

   private:
    int n_;
  };
  cpuDevice().queue().push(std::make_unique<SetThreads>(n));
  return info.Env().Undefined();
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  auto out = Napi::Object::New(info.Env());
  out.Set("isa", isaInUse());
  auto list = Napi::Array::New(info.Env());
  std::uint32_t at = 0;
  for (const std::string& name : availableIsas()) list.Set(at++, name);
  out.Set("isas", list);
  out.Set("threads", threadCount());
  const dnnl_version_t* v = dnnl_version();
  out.Set("onednn", std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch));
  out.Set("openmp", _OPENMP);
  out.Set("compiler", __VERSION__);
  out.Set("sync", cpuDevice().queue().synchronous());
  return out;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  // The order of first use is the reverse of the order of destruction: handles give their memory to the allocator, the
  // queue stops before memory goes.
  cpuDevice();
  cudaSlot();
  handles();
  auto buffer = Napi::ArrayBuffer::New(env, blockLength * sizeof(double));
  block = static_cast<double*>(buffer.Data());
  exports.Set("block", Napi::TypedArrayOf<double>::New(env, blockLength, buffer, 0));
  // The block must outlive every caller, whatever happens to the exports object.
  static Napi::ObjectReference keep;
  keep = Napi::Persistent(exports);
  keep.SuppressDestruct();
  const auto add = [&](const char* name, auto function) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("run", guard<run>);
  add("view", guard<view>);
  add("release", guard<release>);
  add("upload", guard<upload>);
  add("write", guard<write>);
  add("download", guard<download>);
  add("sync", guard<sync>);
  add("finish", guard<finish>);
  add("flush", guard<flush>);
  add("ops", guard<ops>);
  add("kernels", guard<kernels>);
  add("cudaKernels", guard<cudaKernels>);
  add("cudaOpen", guard<cudaOpen>);
  add("cudaDescribe", guard<cudaDescribe>);
  add("captureBegin", guard<captureBegin>);
  add("captureEnd", guard<captureEnd>);
  add("replay", guard<replay>);
  add("captureRelease", guard<captureRelease>);
  add("memoryStats", guard<memoryStats>);
  add("resetPeak", guard<resetPeak>);
  add("setLimit", guard<setLimit>);
  add("setPacking", guard<setPacking>);
  add("emptyCache", guard<emptyCache>);
  add("setThreads", guard<setThreads>);
  add("info", guard<describe>);
  return exports;
}

}  // namespace
}  // namespace secateur

static Napi::Object initModule(Napi::Env env, Napi::Object exports) { return secateur::init(env, exports); }
NODE_API_MODULE(secateur, initModule)
