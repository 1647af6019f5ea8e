// The gradient of attention as cuDNN knows it by its shape: products, what lies between them, and one tensor in memory
// besides operands and results, each query's sum of dO O.
#include "vendor/graph.h"

namespace secateur::cuda::dnn {

void Graph::attentionGradient(const AttentionShape& s) {
  using Extents = std::vector<std::int64_t>;
  const auto rows = [&](std::int64_t count, std::int64_t width) {
    return std::pair<Extents, Extents>{{s.batch, s.heads, count, width},
                                       {s.heads * count * width, count * width, width, 1}};
  };
  // The same memory with rows and columns exchanged.
  const auto across = [&](std::int64_t count, std::int64_t width) {
    return std::pair<Extents, Extents>{{s.batch, s.heads, width, count},
                                       {s.heads * count * width, count * width, 1, width}};
  };
  const auto have = [&](TensorNumber number, DnnDataType type, const std::pair<Extents, Extents>& layout,
                        Place place = Place::memory) { tensor(number, type, layout.first, layout.second, place); };
  const auto ofQueries = rows(s.queries, s.width), ofKeys = rows(s.keys, s.width);
  const auto keysAcross = across(s.keys, s.width), perQuery = rows(s.queries, 1), square = rows(s.queries, s.keys);
  const std::pair<Extents, Extents> one{{1, 1, 1, 1}, {1, 1, 1, 1}};
  for (const TensorNumber number : {numberQ, numberO, numberDo, numberDq}) have(number, DnnDataType::bf16, ofQueries);
  // Keys and values are second operands: they stand across.
  for (const TensorNumber number : {numberK, numberV}) have(number, DnnDataType::bf16, keysAcross);
  for (const TensorNumber number : {numberDk, numberDv}) have(number, DnnDataType::bf16, ofKeys);
  have(numberStats, DnnDataType::f32, perQuery);
  have(numberDelta, DnnDataType::f32, perQuery);
  for (const TensorNumber number : {numberScale, numberOne}) have(number, DnnDataType::f32, one, Place::value);
  have(numberUpTimesO, DnnDataType::f32, ofQueries, Place::inside);
  have(numberRowSums, DnnDataType::f32, perQuery, Place::inside);
  for (const TensorNumber number : {numberScores, numberScaled, numberLogarithms, numberProbabilities, numberDp,
                                    numberDpLess, numberDs, numberDsScaled})
    have(number, DnnDataType::f32, square, Place::inside);
  for (const TensorNumber number : {numberProbabilitiesT, numberDsT})
    have(number, DnnDataType::bf16, across(s.queries, s.keys), Place::inside);
  have(numberKeysAcross, DnnDataType::bf16, ofKeys, Place::inside);

  using Mode = DnnPointwiseMode;
  pointwise(Mode::multiply, {numberDo, numberO}, numberUpTimesO);
  sum(numberUpTimesO, numberRowSums);
  pointwise(Mode::multiply, {numberRowSums, numberOne}, numberDelta);

  multiply(numberQ, numberK, numberScores);
  pointwise(Mode::multiply, {numberScores, numberScale}, numberScaled);
  pointwise(Mode::subtract, {numberScaled, numberStats}, numberLogarithms);
  pointwise(Mode::exponential, {numberLogarithms}, numberProbabilities);
  reshape(numberProbabilities, numberProbabilitiesT);
  multiply(numberProbabilitiesT, numberDo, numberDv);

  multiply(numberDo, numberV, numberDp);
  pointwise(Mode::subtract, {numberDp, numberDelta}, numberDpLess);
  pointwise(Mode::multiply, {numberDpLess, numberProbabilities}, numberDs);
  pointwise(Mode::multiply, {numberDs, numberScale}, numberDsScaled);
  reshape(numberDsScaled, numberDsT);
  multiply(numberDsT, numberQ, numberDk);

  reshape(numberK, numberKeysAcross);
  multiply(numberDsScaled, numberKeysAcross, numberDq);
  finish();
}

}  // namespace secateur::cuda::dnn
