#pragma once
#include "gpu/rows.h"

namespace secateur::cuda {

// Where the last threshold of a layer was; carried from call to call in the op's state, all zero at first. It changes
// how long a call takes, never its result.
struct ThresholdBracket {
  unsigned key;
  unsigned width;  // the bracket reaches this far on both sides of key; 0 = none
};

// What a scan of a layer does with its keys.
enum class Scan : unsigned {
  nothing,  // the selection reads the keys itself
  collect,  // counts those below [low, high] and those equal to pivot, and collects the others inside
  digits,   // a histogram of those inside, 2,048 bins
  next,     // the smallest above high
  finished,
};

// The scan under way.
struct ThresholdPlan {
  Scan scan;
  unsigned step;  // on the ladder of threshold.cuh
  unsigned low, high, pivot;
  unsigned before;  // Scan::digits: keys known to be below low
};

// What the chunks of a layer have found in it.
struct ThresholdFound {
  unsigned below, pivots, count, above;
};

// Scans a layer may need: its bracket, a wider one, a sample's, three of digits, the next key.
constexpr unsigned thresholdRounds = 7;
constexpr unsigned noRound = 0xffffffffu;

// In device memory, one a layer, all zero at the start of a launch.
struct ThresholdWork {
  unsigned round;    // how many rounds are decided; noRound: the layer is finished
  unsigned arrived;  // chunks that have done the current one
  unsigned missed;   // whether the first round did not finish the layer
  ThresholdPlan plan;
  ThresholdFound found;
};

struct ThresholdLayer {
  const float* w;
  std::int64_t n;
  std::int64_t k;
  std::int64_t firstChunk;
  unsigned chunks;
  unsigned room;  // for candidates
  unsigned* candidates;
};

// Where results go.
struct ThresholdOutput {
  ThresholdBracket* state;  // null: no brackets
  float* levels;
  std::int32_t* counts;
};

constexpr std::int64_t sampleSize = 65536;
// A layer of at most this many entries needs no collecting: one block selects from it directly.
constexpr std::int64_t directSize = sampleSize;

// Room for candidates: six times what a bracket is meant to hold, and the sample of a large layer.
constexpr std::int64_t candidateRoom(std::int64_t n) {
  return n <= directSize ? n / 16 + 64 : n / 16 > sampleSize ? n / 16 : sampleSize;
}

}  // namespace secateur::cuda
