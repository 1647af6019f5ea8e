// The addon: ten functions over the handle table, the queue and the op table. Nothing that throws here reaches Node
// uncaught: `guard` turns every C++ exception into a JavaScript error with a code.
#include <dnnl.h>
#include <omp.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#define NAPI_VERSION 8
#include <napi.h>

#include "core/queue.h"
#include "core/registry.h"
#include "core/scratch.h"
#include "cpu/vecmath.h"
#include "napi/decoder.h"
#include "ops_generated.h"

namespace secateur {
namespace {

constexpr std::size_t blockLength = std::size_t{1} << 16;
double* block = nullptr;

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

template <class Op>
class OpTask final : public Task {
 public:
  OpTask(std::uint32_t id, KernelEntry entry, Decoder& decoder)
      : id_(id), entry_(entry), args_(Op::Args::decode(decoder)) {}
  void run() override { entry_(&args_); }
  const char* name() const override { return opName(id_); }

 private:
  std::uint32_t id_;
  KernelEntry entry_;
  typename Op::Args args_;
};

template <class Op>
std::unique_ptr<Task> makeTask(std::uint32_t id, KernelEntry entry, Decoder& decoder) {
  return std::make_unique<OpTask<Op>>(id, entry, decoder);
}

using Maker = std::unique_ptr<Task> (*)(std::uint32_t, KernelEntry, Decoder&);
constexpr Maker makers[] = {
#define SECATEUR_OP_MAKER(name) &makeTask<ops::name>,
    SECATEUR_OPS(SECATEUR_OP_MAKER)
#undef SECATEUR_OP_MAKER
};

Napi::Value run(const Napi::CallbackInfo& info) {
  const std::uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  if (id >= opCount) throw Error("ERR_NO_KERNEL", "no op has number " + std::to_string(id) + ".");
  const KernelEntry entry = kernelOf(id);
  if (entry == nullptr) {
    throw Error("ERR_NO_KERNEL",
                std::string(opName(id)) + " has no kernel for this processor (needs at least AVX2 and FMA).");
  }
  Decoder decoder(block, blockLength);
  std::unique_ptr<Task> task;
  try {
    task = makers[id](id, entry, decoder);
  } catch (...) {
    decoder.abandon();
    throw;
  }
  if (!decoder.nothingToDo()) queue().push(std::move(task));
  decoder.giveBack();
  return info.Env().Undefined();
}

// A tensor that shares another's storage: same dtype, its extents in the block, `offset` elements further on.
Napi::Value view(const Napi::CallbackInfo& info) {
  const Handle handle = info[0].As<Napi::Number>().Uint32Value();
  const auto offset = static_cast<std::size_t>(info[1].As<Napi::Number>().Int64Value());
  const View& from = handles().view(handle);
  View v;
  v.dtype = from.dtype;
  Decoder(block, blockLength).dims(v);
  const std::shared_ptr<Storage> storage = handles().storage(handle);
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

struct HostArray {
  char* data;
  std::size_t bytes;
};

HostArray hostArray(const Napi::Value& value) {
  if (!value.IsTypedArray()) throw Error("ERR_ARGUMENT", "needs a typed array.");
  const auto array = value.As<Napi::TypedArray>();
  return {static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

// Copies `n` elements, converting between f32 and bf16 where the two sides differ.
void convert(void* to, DType toType, const void* from, DType fromType, std::size_t n) {
  if (n == 0) return;
  if (toType == fromType) {
    std::memcpy(to, from, n * bytesOf(toType));
  } else if (toType == DType::bf16 && fromType == DType::f32) {
    for (std::size_t i = 0; i < n; i++)
      static_cast<bf16*>(to)[i] = baseline::toBf16(static_cast<const float*>(from)[i]);
  } else if (toType == DType::f32 && fromType == DType::bf16) {
    for (std::size_t i = 0; i < n; i++)
      static_cast<float*>(to)[i] = baseline::toFloat(static_cast<const bf16*>(from)[i]);
  } else {
    throw Error("ERR_DTYPE", "the host array's element type does not fit the tensor's dtype.");
  }
}

DType dtypeArgument(const Napi::Value& value) {
  const std::uint32_t code = value.As<Napi::Number>().Uint32Value();
  if (code > 3) throw Error("ERR_DTYPE", "unknown dtype code.");
  return static_cast<DType>(code);
}

void checkLength(const HostArray& host, DType type, const View& v) {
  if (host.bytes != static_cast<std::size_t>(v.size()) * bytesOf(type)) {
    throw Error("ERR_SHAPE_MISMATCH", "the host array has " + std::to_string(host.bytes / bytesOf(type)) +
                                          " elements, the tensor " + std::to_string(v.size()) + ".");
  }
}

// A new tensor from a typed array; extents in the block. One copy, no wait: the memory is chosen so that no queued
// kernel still uses it.
Napi::Value upload(const Napi::CallbackInfo& info) {
  const HostArray host = hostArray(info[0]);
  View v;
  v.dtype = dtypeArgument(info[1]);
  const DType from = dtypeArgument(info[2]);
  Decoder(block, blockLength).dims(v);
  checkLength(host, from, v);
  auto storage = std::make_shared<Storage>(static_cast<std::size_t>(v.size()) * bytesOf(v.dtype), true);
  convert(storage->data(), v.dtype, host.data, from, static_cast<std::size_t>(v.size()));
  return Napi::Number::New(info.Env(), handles().create(std::move(storage), 0, v));
}

// Overwrites a tensor in place; waits for the queue, since kernels may still read it.
Napi::Value write(const Napi::CallbackInfo& info) {
  const View& v = handles().view(info[0].As<Napi::Number>().Uint32Value());
  const HostArray host = hostArray(info[1]);
  const DType from = dtypeArgument(info[2]);
  checkLength(host, from, v);
  queue().wait();
  convert(v.data, v.dtype, host.data, from, static_cast<std::size_t>(v.size()));
  return info.Env().Undefined();
}

Napi::Value download(const Napi::CallbackInfo& info) {
  const View& v = handles().view(info[0].As<Napi::Number>().Uint32Value());
  const HostArray host = hostArray(info[1]);
  const DType to = dtypeArgument(info[2]);
  checkLength(host, to, v);
  queue().wait();
  convert(host.data, to, v.data, v.dtype, static_cast<std::size_t>(v.size()));
  return info.Env().Undefined();
}

Napi::Value sync(const Napi::CallbackInfo& info) {
  queue().wait();
  return info.Env().Undefined();
}

// A marker in the queue that resolves a promise from the event loop when its turn comes.
class Flush final : public Task {
 public:
  explicit Flush(Napi::Env env)
      : deferred_(std::make_shared<Napi::Promise::Deferred>(env)),
        notify_(Napi::ThreadSafeFunction::New(env, Napi::Function(), "secateur flush", 0, 1)) {}
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;
  Napi::Value promise() const { return deferred_->Promise(); }
  void run() override {}
  // Resolves even after an error upstream: whoever reads next is told of it.
  ~Flush() override {
    notify_.BlockingCall([deferred = deferred_](Napi::Env env, Napi::Function) { deferred->Resolve(env.Undefined()); });
    notify_.Release();
  }
  const char* name() const override { return "flush"; }

 private:
  std::shared_ptr<Napi::Promise::Deferred> deferred_;
  Napi::ThreadSafeFunction notify_;
};

Napi::Value flush(const Napi::CallbackInfo& info) {
  auto task = std::make_unique<Flush>(info.Env());
  const Napi::Value promise = task->promise();
  queue().push(std::move(task));
  return promise;
}

Napi::Value ops(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  for (std::uint32_t i = 0; i < opCount; i++) list.Set(i, opName(i));
  return list;
}

Napi::Value kernels(const Napi::CallbackInfo& info) {
  auto list = Napi::Array::New(info.Env());
  std::uint32_t at = 0;
  for (const KernelRecord* k = kernelsBegin(); k != kernelsEnd(); k++) {
    auto entry = Napi::Object::New(info.Env());
    entry.Set("op", k->op);
    entry.Set("isa", isaName(k->isa));
    entry.Set("dtypes", k->dtypes);
    list.Set(at++, entry);
  }
  return list;
}

Napi::Value memoryStats(const Napi::CallbackInfo& info) {
  const MemoryStats s = allocator().stats();
  auto out = Napi::Object::New(info.Env());
  const auto set = [&](const char* key, std::size_t value) { out.Set(key, static_cast<double>(value)); };
  set("live", s.live);
  set("peak", s.peak);
  set("cached", s.cached);
  set("reserved", s.live + s.cached + scratchReserved());
  set("limit", s.limit);
  set("tensors", handles().alive());
  set("allocations", s.allocations);
  set("systemAllocations", s.systemAllocations);
  return out;
}

Napi::Value resetPeak(const Napi::CallbackInfo& info) {
  allocator().resetPeak();
  return info.Env().Undefined();
}

Napi::Value setLimit(const Napi::CallbackInfo& info) {
  const double bytes = info[0].As<Napi::Number>().DoubleValue();
  if (!(bytes > 0)) throw Error("ERR_ARGUMENT", "memory.setLimit needs a number of bytes above 0.");
  allocator().setLimit(static_cast<std::size_t>(bytes));
  return info.Env().Undefined();
}

Napi::Value emptyCache(const Napi::CallbackInfo& info) {
  queue().wait();
  allocator().trim();
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
  queue().push(std::make_unique<SetThreads>(n));
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
  out.Set("sync", queue().synchronous());
  return out;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  // The order of first use is the reverse of the order of destruction: handles give their memory to the allocator, the
  // queue stops before memory goes.
  allocator();
  scratchReset();
  queue();
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
  add("flush", guard<flush>);
  add("ops", guard<ops>);
  add("kernels", guard<kernels>);
  add("memoryStats", guard<memoryStats>);
  add("resetPeak", guard<resetPeak>);
  add("setLimit", guard<setLimit>);
  add("emptyCache", guard<emptyCache>);
  add("setThreads", guard<setThreads>);
  add("info", guard<describe>);
  return exports;
}

}  // namespace
}  // namespace secateur

static Napi::Object initModule(Napi::Env env, Napi::Object exports) { return secateur::init(env, exports); }
NODE_API_MODULE(secateur, initModule)
