#include "dnnPlan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "dnnGraph.h"
#include "simulatedGpu.h"

namespace fakes {

namespace {

using A = DnnAttribute;
using K = DnnKind;
using T = DnnDescriptorType;

// Engines as a real library has them: some that a caller who minds must not take, and then one that does.
struct Engine {
  std::vector<DnnNote> notes;
  std::int64_t workspaceBytes;
  bool good;
};
const std::vector<Engine>& engines() {
  static const auto& all = *new std::vector<Engine>{
      {{DnnNote::tensorCore, DnnNote::nondeterministic}, 0, false},
      {{DnnNote::downConvertInputs}, 0, false},
      {{DnnNote::winograd13x13}, 0, false},
      {{}, std::int64_t{1} << 40, false},  // more memory than there is
      {{DnnNote::winograd}, 4096, true},
      {{}, 1000, true},
  };
  return all;
}

struct Handle {
  void* stream = nullptr;
};

// Runs a graph's operations on bound memory; what a bad engine computes is no number.
struct Run {
  RecordPointer graph;
  std::map<std::int64_t, void*> memory;
  std::map<std::int64_t, float> values;
  void* workspace;
  Engine engine;

  void operator()() const {
    std::map<std::int64_t, std::vector<float>> inner;
    std::map<std::int64_t, float> given = values;
    const Bound bound = [&](const Record& tensor) {
      Operand operand = shapeOf(tensor);
      const std::int64_t number = tensor.whole(A::tensorNumber);
      if (tensor.boolean(A::tensorVirtual)) {
        std::vector<float>& made = inner[number];
        made.resize(static_cast<std::size_t>(spanOf(tensor)));
        operand.bf16 = false;
        operand.data = made.data();
      } else {
        operand.data = tensor.boolean(A::tensorByValue) ? &given.at(number) : memory.at(number);
      }
      return operand;
    };
    if (workspace != nullptr) std::memset(workspace, 0xff, static_cast<std::size_t>(engine.workspaceBytes));
    for (const RecordPointer& operation : graph->records(A::graphOperations)) {
      computeOperation(*operation, bound);
      if (engine.good) continue;
      for (const RecordPointer& tensor : outputsOf(*operation)) bound(*tensor).put(0, 0, 0, 0, NAN);
    }
  }
};

RecordPointer derived(T type, int engine, const Record& from) {
  auto r = std::make_shared<Record>();
  r->type = type;
  r->finalized = true;
  r->engine = engine;
  r->values[A::heuristicsGraph] = from.values.at(A::heuristicsGraph);
  return r;
}

}  // namespace

std::vector<RecordPointer> derivedRecords(const Record& r, A a) {
  std::vector<RecordPointer> made;
  if (r.type == T::heuristics && a == A::heuristicsResults) {
    const auto mode = static_cast<DnnHeuristics>(r.enumerator(A::heuristicsMode));
    const int count = static_cast<int>(engines().size());
    for (int i = mode == DnnHeuristics::best ? 0 : count - 1; i < count; i++)
      made.push_back(derived(T::engineConfig, i, r));
  } else if (r.type == T::engineConfig && a == A::engineConfigEngine) {
    made.push_back(derived(T::engine, r.engine, r));
  } else {
    refuse("nothing to be read there");
  }
  return made;
}

void readPlanValue(const Record& r, A a, K kind, std::int64_t wanted, std::int64_t* got, void* to) {
  if (r.type == T::engine && a == A::engineNotes && kind == K::note) {
    const std::vector<DnnNote>& notes = engines().at(static_cast<std::size_t>(r.engine)).notes;
    *got = std::min(wanted, static_cast<std::int64_t>(notes.size()));
    if (*got > 0) std::memcpy(to, notes.data(), static_cast<std::size_t>(*got) * sizeof(DnnNote));
  } else if (r.type == T::plan && a == A::planWorkspaceBytes && kind == K::whole) {
    require(wanted >= 1, "room for one number");
    *static_cast<std::int64_t*>(to) = engines().at(static_cast<std::size_t>(r.engine)).workspaceBytes;
    *got = 1;
  } else {
    refuse("nothing to be read there");
  }
}

void checkPlan(Record& r) { r.engine = r.record(A::planEngineConfig).engine; }

void executePlan(void* rawHandle, const Record& plan, const Record& pack) {
  require(rawHandle != nullptr, "no handle");
  require(plan.type == T::plan && plan.finalized, "no finalized plan");
  require(pack.type == T::variantPack && pack.finalized, "no finalized variant pack");
  Run run;
  run.graph = plan.record(A::planEngineConfig).records(A::heuristicsGraph).at(0);
  run.engine = engines().at(static_cast<std::size_t>(plan.engine));
  run.workspace = pack.has(A::packWorkspace) ? pack.pointers(A::packWorkspace).at(0) : nullptr;
  if (run.engine.workspaceBytes > 0)
    require(onDevice(run.workspace, static_cast<std::size_t>(run.engine.workspaceBytes)), "the workspace is too small");
  else
    run.workspace = nullptr;

  const std::vector<std::int64_t> numbers = pack.wholes(A::packNumbers);
  const std::vector<void*> pointers = pack.pointers(A::packPointers);
  std::map<std::int64_t, void*> given;
  for (std::size_t i = 0; i < numbers.size(); i++)
    require(given.emplace(numbers[i], pointers[i]).second, "a tensor is bound twice");
  std::map<std::int64_t, RecordPointer> needed;
  for (const RecordPointer& operation : run.graph->records(A::graphOperations)) {
    for (const std::vector<RecordPointer>& side : {inputsOf(*operation), outputsOf(*operation)})
      for (const RecordPointer& tensor : side)
        if (!tensor->boolean(A::tensorVirtual)) needed.emplace(tensor->whole(A::tensorNumber), tensor);
  }
  require(given.size() == needed.size(), "as many pointers as tensors in memory");
  for (const auto& [number, tensor] : needed) {
    const auto found = given.find(number);
    require(found != given.end() && found->second != nullptr, "a tensor is not bound");
    if (tensor->boolean(A::tensorByValue)) {
      require(!onDevice(found->second, 1), "a value is read on the host");
      std::memcpy(&run.values[number], found->second, sizeof(float));
      continue;
    }
    const auto address = reinterpret_cast<std::uintptr_t>(found->second);
    require(address % static_cast<std::uintptr_t>(tensor->whole(A::tensorAlignment)) == 0, "memory is not aligned");
    const std::size_t bytes = static_cast<std::size_t>(spanOf(*tensor)) * (shapeOf(*tensor).bf16 ? 2 : 4);
    require(onDevice(found->second, bytes), "a tensor does not lie in device memory");
    run.memory[number] = found->second;
  }
  require(queue(static_cast<Handle*>(rawHandle)->stream, run), "the stream does not take it");
}

}  // namespace fakes

#define CALL extern "C" __attribute__((visibility("default")))
using namespace fakes;

CALL std::size_t cudnnGetVersion() { return 92400; }
CALL DnnStatus cudnnCreate(void** handle) {
  static auto& only = *new Handle();
  *handle = &only;
  return DnnStatus::success;
}
CALL DnnStatus cudnnSetStream(void* handle, void* stream) {
  static_cast<Handle*>(handle)->stream = stream;
  return DnnStatus::success;
}
