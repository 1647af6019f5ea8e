// Execution plans: the first of the engines cuDNN proposes for a graph that keeps the terms and can be made ready.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
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

// What a plan may do.
struct Terms {
  // f32 is f32: no tensor cores, which round the factors to ten bits.
  bool wholeF32 = true;
  // Winograd's algorithm with small tiles.
  bool winograd = false;
  // Bytes of memory beside the tensors.
  std::size_t workspace = std::size_t{256} << 20;
};

inline Terms termsOf(const ConvolutionShape& s) { return {s.dtype == DType::f32, !s.highest}; }
inline Terms termsOf(const BatchNormShape&) { return {}; }
// The gradient of a long batch needs twice the memory of its tensors.
inline Terms termsOf(const AttentionShape& s) {
  const auto elements = static_cast<std::size_t>(s.batch * s.heads * (s.queries + s.keys) * s.width);
  const std::size_t tensors = 4 * elements * sizeof(std::uint16_t);
  return {false, false, std::max(Terms{}.workspace, 3 * tensors)};
}

// Where the tensors of a graph that are not inside it lie.
using Memory = std::vector<std::pair<TensorNumber, const void*>>;

class Plan {
 public:
  // Throws Unsupported, naming the last engine's reason.
  Plan(const Graph& graph, const Target& target, const Terms& terms);
  std::size_t workspaceBytes() const { return workspaceBytes_; }
  void run(DnnHandle handle, const Memory& memory, void* workspace) const;

 private:
  bool tryConfigs(const Graph& graph, const Target& target, const Terms& terms, DnnHeuristics mode,
                  std::string& reason);

  // A plan refers to its engine.
  Descriptor config_{DnnDescriptorType::engineConfig};
  Descriptor descriptor_{DnnDescriptorType::plan};
  std::size_t workspaceBytes_ = 0;
};

}  // namespace secateur::cuda::dnn
