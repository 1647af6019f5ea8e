// Attention and its gradient as cuDNN knows them by their shapes: products, and what lies between them. Square tensors
// of queries and keys never reach memory.
#include "vendor/graph.h"

namespace secateur::cuda::dnn {

namespace {

using Extents = std::vector<std::int64_t>;
using Mode = DnnPointwiseMode;

struct Layout {
  Extents extents, strides;
};

Layout rows(const AttentionShape& s, std::int64_t count, std::int64_t width) {
  return {{s.batch, s.heads, count, width}, {s.heads * count * width, count * width, width, 1}};
}

// The same memory with rows and columns exchanged.
Layout across(const AttentionShape& s, std::int64_t count, std::int64_t width) {
  return {{s.batch, s.heads, width, count}, {s.heads * count * width, count * width, 1, width}};
}

// A number.
Layout one() { return {{1, 1, 1, 1}, {1, 1, 1, 1}}; }

}  // namespace

Graph::Graph(const AttentionShape& s) {
  if (s.gradient)
    attentionGradient(s);
  else
    attention(s);
  finish();
}

TensorNumber Graph::scores(const AttentionShape& s) {
  const Layout square = rows(s, s.queries, s.keys);
  const auto inside = [&](TensorNumber number, DnnDataType type) {
    tensor(number, type, square.extents, square.strides, Place::inside);
  };
  tensor(numberScale, DnnDataType::f32, one().extents, one().strides, Place::value);
  for (const TensorNumber number : {numberScores, numberScaled}) inside(number, DnnDataType::f32);
  multiply(numberQ, numberK, numberScores);
  pointwise(Mode::multiply, {numberScores, numberScale}, numberScaled);
  TensorNumber last = numberScaled;
  if (s.bias) {
    tensor(numberKeyBias, DnnDataType::f32, {s.batch, 1, 1, s.keys}, {s.keys, s.keys, s.keys, 1});
    inside(numberScoresWithBias, DnnDataType::f32);
    pointwise(Mode::add, {last, numberKeyBias}, numberScoresWithBias);
    last = numberScoresWithBias;
  }
  if (!s.causal) return last;

  tensor(numberLowest, DnnDataType::f32, one().extents, one().strides, Place::value);
  for (const TensorNumber number : {numberRow, numberColumn}) inside(number, DnnDataType::i32);
  inside(numberSeen, DnnDataType::boolean);
  inside(numberMasked, DnnDataType::f32);
  placeAlong(2, last, numberRow);
  placeAlong(3, last, numberColumn);
  pointwise(Mode::notBelow, {numberRow, numberColumn}, numberSeen);
  pointwise(Mode::select, {last, numberLowest, numberSeen}, numberMasked);
  return numberMasked;
}

void Graph::attention(const AttentionShape& s) {
  const auto have = [&](TensorNumber number, DnnDataType type, const Layout& layout, Place place = Place::memory) {
    tensor(number, type, layout.extents, layout.strides, place);
  };
  const Layout ofQueries = rows(s, s.queries, s.width), perQuery = rows(s, s.queries, 1),
               square = rows(s, s.queries, s.keys);
  for (const TensorNumber number : {numberQ, numberO}) have(number, DnnDataType::bf16, ofQueries);
  have(numberK, DnnDataType::bf16, across(s, s.keys, s.width));
  have(numberV, DnnDataType::bf16, rows(s, s.keys, s.width));
  have(numberStats, DnnDataType::f32, perQuery);
  for (const TensorNumber number : {numberLargest, numberTotal, numberLogTotal})
    have(number, DnnDataType::f32, perQuery, Place::inside);
  for (const TensorNumber number : {numberBelowLargest, numberExponentials})
    have(number, DnnDataType::f32, square, Place::inside);
  have(numberProbabilities, DnnDataType::bf16, square, Place::inside);

  const TensorNumber last = scores(s);
  reduce(DnnReduction::largest, last, numberLargest);
  pointwise(Mode::subtract, {last, numberLargest}, numberBelowLargest);
  pointwise(Mode::exponential, {numberBelowLargest}, numberExponentials);
  reduce(DnnReduction::add, numberExponentials, numberTotal);
  pointwise(Mode::logarithm, {numberTotal}, numberLogTotal);
  pointwise(Mode::add, {numberLargest, numberLogTotal}, numberStats);
  pointwise(Mode::divide, {numberExponentials, numberTotal}, numberProbabilities);
  multiply(numberProbabilities, numberV, numberO);
}

// One tensor in memory besides operands and results, each query's sum of dO O.
void Graph::attentionGradient(const AttentionShape& s) {
  const auto have = [&](TensorNumber number, DnnDataType type, const Layout& layout, Place place = Place::memory) {
    tensor(number, type, layout.extents, layout.strides, place);
  };
  const Layout ofQueries = rows(s, s.queries, s.width), ofKeys = rows(s, s.keys, s.width),
               perQuery = rows(s, s.queries, 1), square = rows(s, s.queries, s.keys);
  for (const TensorNumber number : {numberQ, numberO, numberDo, numberDq}) have(number, DnnDataType::bf16, ofQueries);
  // Keys and values are second operands: they stand across.
  for (const TensorNumber number : {numberK, numberV}) have(number, DnnDataType::bf16, across(s, s.keys, s.width));
  for (const TensorNumber number : {numberDk, numberDv}) have(number, DnnDataType::bf16, ofKeys);
  have(numberStats, DnnDataType::f32, perQuery);
  have(numberDelta, DnnDataType::f32, perQuery);
  have(numberOne, DnnDataType::f32, one(), Place::value);
  have(numberUpTimesO, DnnDataType::f32, ofQueries, Place::inside);
  have(numberRowSums, DnnDataType::f32, perQuery, Place::inside);
  for (const TensorNumber number :
       {numberLogarithms, numberProbabilities, numberDp, numberDpLess, numberDs, numberDsScaled})
    have(number, DnnDataType::f32, square, Place::inside);
  for (const TensorNumber number : {numberProbabilitiesT, numberDsT})
    have(number, DnnDataType::bf16, across(s, s.queries, s.keys), Place::inside);
  have(numberKeysAcross, DnnDataType::bf16, ofKeys, Place::inside);

  pointwise(Mode::multiply, {numberDo, numberO}, numberUpTimesO);
  reduce(DnnReduction::add, numberUpTimesO, numberRowSums);
  pointwise(Mode::multiply, {numberRowSums, numberOne}, numberDelta);

  pointwise(Mode::subtract, {scores(s), numberStats}, numberLogarithms);
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
}

}  // namespace secateur::cuda::dnn
