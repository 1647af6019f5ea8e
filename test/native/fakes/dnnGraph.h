// Graphs: which tensors an operation reads and writes, and what it computes.
#pragma once
#include <functional>

#include "dnnDescriptor.h"

namespace fakes {

// A tensor with its memory, on the device or inside the graph.
struct Operand {
  std::vector<std::int64_t> extents, strides;
  bool bf16 = false;
  void* data = nullptr;

  float at(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) const;
  void put(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d, float value) const;
};
Operand shapeOf(const Record& tensor);
// Elements from the first to the last, gaps included.
std::int64_t spanOf(const Record& tensor);

std::vector<RecordPointer> inputsOf(const Record& operation);
std::vector<RecordPointer> outputsOf(const Record& operation);

// Finds the memory of a tensor while a graph runs.
using Bound = std::function<Operand(const Record& tensor)>;
void computeOperation(const Record& operation, const Bound& bound);
// dnnConvolution.cpp, dnnPointwise.cpp, dnnProduct.cpp, dnnNorm.cpp
void checkConvolutionShapes(const Record& operation);
void computeConvolution(const Record& operation, const Bound& bound);
// The function alone.
void checkPointwiseFunction(const Record& function);
void checkPointwise(const Record& operation);
void computePointwise(const Record& operation, const Bound& bound);
void checkMatmul(const Record& operation);
void computeMatmul(const Record& operation, const Bound& bound);
void checkReduction(const Record& operation);
void computeReduction(const Record& operation, const Bound& bound);
void checkNorm(const Record& operation);
void computeNorm(const Record& operation, const Bound& bound);
void checkNormGrad(const Record& operation);
void computeNormGrad(const Record& operation, const Bound& bound);
void checkReshape(const Record& operation);
void computeReshape(const Record& operation, const Bound& bound);

}  // namespace fakes
