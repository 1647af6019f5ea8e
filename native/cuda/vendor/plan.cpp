#include "vendor/plan.h"

#include "core/error.h"

namespace secateur::cuda::dnn {

namespace {

// Why an engine with these notes will not do, or null.
const char* objection(const std::vector<DnnNote>& notes, const Terms& terms) {
  for (const DnnNote note : notes) {
    switch (note) {
      case DnnNote::nondeterministic:
        return "adds in no fixed order";
      case DnnNote::downConvertInputs:
      case DnnNote::reducedPrecisionReduction:
        return "computes in fewer bits";
      case DnnNote::tensorCore:
        if (terms.wholeF32) return "rounds f32 to TF32";
        break;
      case DnnNote::fft:
        return "spreads a NaN over the whole image";
      case DnnNote::winograd:
      case DnnNote::winograd4x4:
        if (!terms.winograd) return "uses Winograd's algorithm";
        break;
      case DnnNote::winograd6x6:
      case DnnNote::winograd13x13:
        return "uses Winograd's algorithm with large tiles";
      case DnnNote::count:
        break;
    }
  }
  return nullptr;
}

}  // namespace

Target::Target(DnnHandle handle) { descriptor_.set(DnnAttribute::deviceHandle, handle).finalize("the device"); }

Target::Target(const std::string& json) {
  descriptor_.set(DnnAttribute::deviceJson, json).finalize("a described device");
}

Plan::Plan(const Graph& graph, const Target& target, const Terms& terms) {
  std::string reason = "no engine was proposed";
  if (tryConfigs(graph, target, terms, DnnHeuristics::best, reason)) return;
  if (tryConfigs(graph, target, terms, DnnHeuristics::fallback, reason)) return;
  throw Unsupported(reason);
}

bool Plan::tryConfigs(const Graph& graph, const Target& target, const Terms& terms, DnnHeuristics mode,
                      std::string& reason) {
  std::vector<Descriptor> configs;
  try {
    Descriptor heuristics(DnnDescriptorType::heuristics);
    heuristics.set(DnnAttribute::heuristicsGraph, graph.descriptor())
        .set(DnnAttribute::heuristicsMode, mode)
        .set(DnnAttribute::heuristicsDevice, target.descriptor())
        .finalize("the choice of an engine");
    configs = heuristics.descriptors(DnnAttribute::heuristicsResults, DnnDescriptorType::engineConfig);
  } catch (const Unsupported& e) {
    reason = e.what();
    return false;
  }
  for (Descriptor& config : configs) {
    const std::vector<Descriptor> engine =
        config.descriptors(DnnAttribute::engineConfigEngine, DnnDescriptorType::engine);
    if (const char* why = objection(engine.at(0).notes(DnnAttribute::engineNotes), terms)) {
      reason = std::string("an engine that ") + why;
      continue;
    }
    try {
      Descriptor plan(DnnDescriptorType::plan);
      plan.set(DnnAttribute::planEngineConfig, config)
          .set(DnnAttribute::planDevice, target.descriptor())
          .finalize("a plan");
      const auto bytes = static_cast<std::size_t>(plan.whole(DnnAttribute::planWorkspaceBytes));
      if (bytes > terms.workspace) {
        reason = "an engine wants " + std::to_string(bytes >> 20) + " MiB of workspace";
        continue;
      }
      config_ = std::move(config);
      descriptor_ = std::move(plan);
      workspaceBytes_ = bytes;
      return true;
    } catch (const std::exception& e) {
      // An engine that cannot be made ready, for want of a part of the library say: the next one may do.
      reason = e.what();
    }
  }
  return false;
}

void Plan::run(DnnHandle handle, const Memory& memory, void* workspace) const {
  std::vector<std::int64_t> numbers;
  std::vector<void*> pointers;
  for (const auto& [number, data] : memory) {
    numbers.push_back(number);
    pointers.push_back(const_cast<void*>(data));
  }
  Descriptor pack(DnnDescriptorType::variantPack);
  pack.set(DnnAttribute::packNumbers, numbers)
      .set(DnnAttribute::packPointers, pointers)
      .set(DnnAttribute::packWorkspace, workspace)
      .finalize("the memory of a plan");
  check(cudnn().table.execute(handle, descriptor_.raw(), pack.raw()), "running a plan");
}

}  // namespace secateur::cuda::dnn
