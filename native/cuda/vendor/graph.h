// Graphs of cuDNN operations. Each graph the backend uses is a function of a plain shape, which is also the key under
// which its plan is kept.
#pragma once
#include <cstdint>
#include <vector>

#include "core/view.h"
#include "vendor/descriptor.h"

namespace secateur::cuda::dnn {

// Names a tensor of a graph; memory is bound to these when the plan runs.
enum TensorNumber : std::int64_t {
  numberX = 1,
  numberW,
  numberY,
  numberBias,
  numberSum,
  numberBiased,
  numberQ,
  numberK,
  numberV,
  numberO,
  numberStats,
  numberScale,
  // Of attention, inside.
  numberScores,
  numberScaled,
  numberKeyBias,
  numberScoresWithBias,
  numberRow,
  numberColumn,
  numberSeen,
  numberLowest,
  numberMasked,
  numberLargest,
  numberBelowLargest,
  numberExponentials,
  numberTotal,
  numberLogTotal,
  numberProbabilities,
  // Of its gradient.
  numberDo,
  numberDq,
  numberDk,
  numberDv,
  numberOne,
  numberDelta,
  numberUpTimesO,
  numberRowSums,
  numberLogarithms,
  numberProbabilitiesT,
  numberDp,
  numberDpLess,
  numberDs,
  numberDsScaled,
  numberDsT,
  numberKeysAcross,
  // Of batch norm.
  numberMean,
  numberRstd,
  numberEps,
  numberMomentum,
  numberMeanBefore,
  numberVarBefore,
  numberMeanAfter,
  numberVarAfter,
  numberDy,
  numberDx,
  numberDw,
  numberDbias,
};

// What cuDNN may rely on: memory that is aligned to less is not given to it.
constexpr std::int64_t tensorAlignment = 16;

enum class Direction : std::int64_t { forward, gradInput, gradWeight };

// Channels last. Height before width.
struct ConvolutionShape {
  Direction direction = Direction::forward;
  DType dtype = DType::f32;
  std::int64_t images = 0, height = 0, width = 0, channels = 0;
  std::int64_t outHeight = 0, outWidth = 0, outChannels = 0;
  std::int64_t kernelHeight = 0, kernelWidth = 0, groups = 1;
  std::int64_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
  bool bias = false;
  bool relu = false;  // of a forward pass, after the bias, which it needs
  // Winograd's algorithm will not do.
  bool highest = false;

  std::vector<std::int64_t> key() const;
};

// [batch, heads, rows, width], contiguous; bf16. Every query sees every key, or query i the keys 0 to i; with a bias a
// number a batch and key is added to the scores. The statistics are each query's logarithm of the sum of exponentials:
// the forward pass gives them, and the gradient asks for them.
struct AttentionShape {
  std::int64_t batch = 0, heads = 0, queries = 0, keys = 0, width = 0;
  bool causal = false;
  bool bias = false;
  bool gradient = false;

  std::vector<std::int64_t> key() const;
};

// Batch norm in training, channels last, weight, bias and statistics in f32: the forward pass, which moves the running
// statistics, or all gradients. Evaluation is no operation of cuDNN's.
struct BatchNormShape {
  bool gradient = false;
  DType dtype = DType::f32;
  std::int64_t images = 0, height = 0, width = 0, channels = 0;

  std::vector<std::int64_t> key() const;
};

class Graph {
 public:
  explicit Graph(const ConvolutionShape& shape);
  explicit Graph(const AttentionShape& shape);
  explicit Graph(const BatchNormShape& shape);
  const Descriptor& descriptor() const { return graph_; }

 private:
  // Inner tensors never reach memory; what is given by value is read on the host when the plan runs.
  enum class Place { memory, inside, value };
  void tensor(TensorNumber number, DnnDataType type, const std::vector<std::int64_t>& extents,
              const std::vector<std::int64_t>& strides, Place place = Place::memory);
  const Descriptor& of(TensorNumber number) const;
  void attention(const AttentionShape& shape);
  void attentionGradient(const AttentionShape& shape);
  // The scaled scores of all queries and keys, the lowest number there is where a query may not look.
  TensorNumber scores(const AttentionShape& shape);
  // y = f of one to three operands; in f32. relu lets NaN pass.
  void pointwise(DnnPointwiseMode f, std::initializer_list<TensorNumber> operands, TensorNumber y);
  // Each element's place in x along an axis.
  void placeAlong(std::int64_t axis, TensorNumber x, TensorNumber y);
  void multiply(TensorNumber a, TensorNumber b, TensorNumber c);
  // Over the axes that y lacks.
  void reduce(DnnReduction f, TensorNumber x, TensorNumber y);
  void reshape(TensorNumber x, TensorNumber y);
  void apply(const Descriptor& f, std::initializer_list<TensorNumber> operands, TensorNumber y);
  void finish();

  // The graph refers to its operations, they to their tensors: all live as long as it.
  std::vector<std::pair<TensorNumber, Descriptor>> tensors_;
  std::vector<Descriptor> parts_;
  std::vector<Descriptor> operations_;
  Descriptor graph_{DnnDescriptorType::operationGraph};
};

}  // namespace secateur::cuda::dnn
