// Execution plans: the first of the engines cuDNN proposes for a graph that keeps the rules of arithmetic, fits the
// workspace, and can be made ready.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "vendor/descriptor.h"
#include "vendor/graph.h"

namespace secateur::cuda::dnn {

// For which device plans are made.
class Target {
 public:
  explicit Target(DnnHandle handle);
  // A device that need not be there, in cuDNN's own description.
  explicit Target(const std::string& json);
  const Descriptor& descriptor() const { return descriptor_; }

 private:
  Descriptor descriptor_{DnnDescriptorType::deviceProperties};
};

// What a sum may do to its terms.
struct Arithmetic {
  // f32 is f32: no tensor cores, which round the factors to ten bits.
  bool wholeF32 = true;
  // Winograd's algorithm with small tiles.
  bool winograd = false;
};

inline Arithmetic arithmeticOf(const ConvolutionShape& s) { return {s.dtype == DType::f32, !s.highest}; }
inline Arithmetic arithmeticOf(const AttentionShape&) { return {false, false}; }
inline Arithmetic arithmeticOf(const BatchNormShape&) { return {true, false}; }

// Memory that a plan may use beside its tensors.
constexpr std::size_t workspaceLimit = std::size_t{256} << 20;

class Plan {
 public:
  // Throws Unsupported, naming the last engine's reason.
  Plan(const Graph& graph, const Target& target, const Arithmetic& arithmetic);
  std::size_t workspaceBytes() const { return workspaceBytes_; }
  void run(DnnHandle handle, std::initializer_list<std::pair<TensorNumber, const void*>> memory, void* workspace) const;

 private:
  bool tryConfigs(const Graph& graph, const Target& target, const Arithmetic& arithmetic, DnnHeuristics mode,
                  std::string& reason);

  // A plan refers to its engine.
  Descriptor config_{DnnDescriptorType::engineConfig};
  Descriptor descriptor_{DnnDescriptorType::plan};
  std::size_t workspaceBytes_ = 0;
};

}  // namespace secateur::cuda::dnn
