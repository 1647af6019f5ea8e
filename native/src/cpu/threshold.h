#pragma once
// The k-th and (k+1)-th smallest magnitude of each layer, exactly, by selection.
//
// The order is that of the float's bits without the sign: numeric, NaN highest. From step to step the threshold moves
// little, so the caller keeps a bracket of keys around the last one; one pass counts the keys below the bracket and
// collects those inside, and if the wanted ranks fall inside (always checked) a selection among the few collected ends
// it. Without a bracket, or when it misses, a sample gives one. If that misses too, or the bracket holds too many equal
// keys to collect, three rounds of an 11/11/10-bit histogram decide. All routes count integers, so the result
// depends neither on the route nor on the number of threads.
#include <omp.h>

#include "vec.h"

namespace secateur::SECATEUR_ISA {

// Carried from call to call; all zero at first. It changes how long a call takes, never its result.
struct ThresholdBracket {
  std::uint32_t key;
  std::uint32_t width;  // the bracket reaches this far on both sides of key; 0 = none
};

struct ThresholdLayer {
  const float* w;
  std::int64_t n;
  std::int64_t k;  // how many entries are to be pruned, 0 <= k <= n
  ThresholdBracket* bracket;
  // Results. With k = 0 there is no threshold: the floats are NaN.
  float lower;        // a_k
  float upper;        // a_(k+1); a_k again where k = n
  float t;            // their mean, rounded once
  std::int64_t ties;  // of the entries of magnitude a_k, how many (the first ones) belong to the k pruned
};

constexpr std::uint32_t kHighestKey = 0x7fffffffu;
constexpr std::int64_t kSample = 32768;
// Room is checked once for this many entries.
constexpr std::int64_t kStep = 2048;

SECATEUR_INLINE std::uint32_t keyOf(float w) { return bitsOf(w) & kHighestKey; }

// How many 32-bit words of scratch memory a layer of n entries needs; a call takes the largest of its layers.
inline std::int64_t thresholdScratch(std::int64_t n) { return (n < 8 * kSample ? n : n / 8) + 2 * kSample + 1024; }

struct RankedPair {
  std::uint32_t key;    // of the wanted rank
  std::uint32_t next;   // of the rank after it, kHighestKey + 1 if there is none
  std::int64_t before;  // how many keys are smaller
};

// The key of 0-based rank `rank` among `count` keys within [low, high]; reorders them. Each round keeps one of 2048
// bins.
inline RankedPair selectKey(std::uint32_t* keys, std::int64_t count, std::uint32_t low, std::uint32_t high,
                            std::int64_t rank) {
  std::uint32_t next = kHighestKey + 1;
  std::int64_t before = 0;
  while (count > 32 && low < high) {
    int shift = 0;
    while (((high - low) >> shift) >= 2048) ++shift;
    std::int32_t bins[2048] = {};
    for (std::int64_t i = 0; i < count; ++i) ++bins[(keys[i] - low) >> shift];
    std::uint32_t bin = 0;
    std::int64_t skipped = 0;
    while (skipped + bins[bin] <= rank - before) skipped += bins[bin++];
    before += skipped;
    const std::uint32_t width = (1u << shift) - 1;
    low += bin << shift;
    high = low + width < high ? low + width : high;
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint32_t key = keys[i];
      keys[kept] = key;
      kept += key - low <= high - low ? 1 : 0;
      next = key > high && key < next ? key : next;
    }
    count = kept;
  }
  if (low < high) {
    for (std::int64_t i = 1; i < count; ++i) {
      const std::uint32_t key = keys[i];
      std::int64_t j = i;
      for (; j > 0 && keys[j - 1] > key; --j) keys[j] = keys[j - 1];
      keys[j] = key;
    }
  }
  const std::int64_t position = rank - before;
  const std::uint32_t key = keys[position];
  std::int64_t first = low < high ? position : 0;
  while (first > 0 && keys[first - 1] == key) --first;
  return {key, position + 1 < count ? keys[position + 1] : next, before + first};
}

struct Collected {
  std::int64_t below;
  std::int64_t count;  // -1: more than the room given
};

// Counts the keys below low and writes those in [low, high] to out. The room must exceed what is kept by a register.
inline Collected collectRange(const float* w, std::int64_t n, std::uint32_t low, std::uint32_t high, std::uint32_t* out,
                              std::int64_t room) {
  std::int64_t below = 0;
  std::int64_t count = 0;
  std::int64_t i = 0;
#if defined(__AVX512F__)
  // Compressed in a register and stored whole: the compressing store itself is microcode on some processors.
  const VecBits magnitude = _mm512_set1_epi32(static_cast<int>(kHighestKey));
  const VecBits from = _mm512_set1_epi32(static_cast<int>(low));
  const VecBits to = _mm512_set1_epi32(static_cast<int>(high));
  while (i + kLanes <= n && count + kStep + kLanes <= room) {
    const std::int64_t end = n - i < kStep ? i + (n - i) / kLanes * kLanes : i + kStep;
    for (; i < end; i += kLanes) {
      const VecBits keys = _mm512_castps_si512(load(w + i)) & magnitude;
      const __mmask16 less = _mm512_cmp_epi32_mask(keys, from, _MM_CMPINT_LT);
      const __mmask16 inside = _mm512_mask_cmp_epi32_mask(static_cast<__mmask16>(~less), keys, to, _MM_CMPINT_LE);
      _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(inside, keys));
      below += __builtin_popcount(less);
      count += __builtin_popcount(inside);
    }
  }
#else
  const VecBits magnitude = _mm256_set1_epi32(static_cast<int>(kHighestKey));
  const VecBits from = _mm256_set1_epi32(static_cast<int>(low));
  const VecBits to = _mm256_set1_epi32(static_cast<int>(high));
  while (i + kLanes <= n && count + kStep + kLanes <= room) {
    const std::int64_t end = n - i < kStep ? i + (n - i) / kLanes * kLanes : i + kStep;
    VecBits lessCount = _mm256_setzero_si256();
    for (; i < end; i += kLanes) {
      const VecBits keys = _mm256_castps_si256(load(w + i)) & magnitude;
      const VecBits less = _mm256_cmpgt_epi32(from, keys);
      const VecBits outside = less | _mm256_cmpgt_epi32(keys, to);
      lessCount = _mm256_sub_epi32(lessCount, less);
      int inside = ~_mm256_movemask_ps(_mm256_castsi256_ps(outside)) & 0xff;
      for (; inside != 0; inside &= inside - 1)
        out[count++] = keyOf(w[i + __builtin_ctz(static_cast<unsigned>(inside))]);
    }
    std::int32_t lanes[kLanes];
    _mm256_storeu_si256(reinterpret_cast<VecBits*>(lanes), lessCount);
    for (const std::int32_t lane : lanes) below += lane;
  }
#endif
  for (; i < n; ++i) {
    const std::uint32_t key = keyOf(w[i]);
    if (key < low) {
      ++below;
    } else if (key <= high) {
      if (count == room) return {0, -1};
      out[count++] = key;
    }
  }
  return {below, count};
}

// Weights that are as they should be.
struct Untouched {
  __attribute__((always_inline)) void operator()(std::int64_t, std::int64_t) const {}
};

// The same over all threads, each with its part of the scratch memory; what they collected ends up side by side.
// `prepare(begin, end)` is called for every stretch of the layer right before it is looked at: who writes the weights
// has them collected while they are in the cache. Where the room is used up, it is called all the same.
template <class Prepare>
inline Collected collect(const ThresholdLayer& layer, std::uint32_t low, std::uint32_t high, std::uint32_t* scratch,
                         std::int64_t room, const Prepare& prepare) {
  constexpr int kMaxParts = 64;
  const int threads = layer.n < kParallel ? 1 : omp_get_max_threads();
  const int parts = threads < kMaxParts ? threads : kMaxParts;
  const std::int64_t partRoom = room / parts;
  Collected found[kMaxParts];
#pragma omp parallel for schedule(static, 1) if (parts > 1)
  for (int part = 0; part < parts; ++part) {
    const std::int64_t begin = layer.n * part / parts / kLanes * kLanes;
    const std::int64_t end = part + 1 == parts ? layer.n : layer.n * (part + 1) / parts / kLanes * kLanes;
    std::uint32_t* const mine = scratch + part * partRoom;
    Collected sum{0, 0};
    for (std::int64_t at = begin; at < end; at += kStep) {
      const std::int64_t to = end - at < kStep ? end : at + kStep;
      prepare(at, to);
      if (sum.count < 0) continue;
      const Collected next = collectRange(layer.w + at, to - at, low, high, mine + sum.count, partRoom - sum.count);
      sum.below += next.below;
      sum.count = next.count < 0 ? -1 : sum.count + next.count;
    }
    found[part] = sum;
  }
  Collected total{0, 0};
  for (int part = 0; part < parts; ++part) {
    if (found[part].count < 0) return {0, -1};
    if (part > 0) {
      __builtin_memmove(scratch + total.count, scratch + part * partRoom, sizeof(*scratch) * found[part].count);
    }
    total.below += found[part].below;
    total.count += found[part].count;
  }
  return total;
}

inline void finishThreshold(ThresholdLayer& layer, const RankedPair& pair) {
  layer.lower = floatOf(pair.key);
  layer.upper = pair.next > kHighestKey ? layer.lower : floatOf(pair.next);
  // In double, where halving a denormal is exact.
  layer.t = static_cast<float>(0.5 * static_cast<double>(layer.lower) + 0.5 * static_cast<double>(layer.upper));
  layer.ties = layer.k - pair.before;
}

// Ends the search where the wanted ranks are among what was collected. The next bracket is sized to hold about 1 % of
// the entries.
inline bool selectCollected(ThresholdLayer& layer, const Collected& found, std::uint32_t low, std::uint32_t high,
                            std::uint32_t* scratch) {
  if (found.count < 0) return false;
  const std::int64_t rank = layer.k - 1 - found.below;
  if (rank < 0 || rank + (layer.k < layer.n ? 1 : 0) >= found.count) return false;
  RankedPair pair = selectKey(scratch, found.count, low, high, rank);
  pair.before += found.below;
  finishThreshold(layer, pair);
  const double share = 0.005 * static_cast<double>(layer.n) / static_cast<double>(found.count);
  const double width = share * static_cast<double>(high - low);
  layer.bracket->key = pair.key;
  layer.bracket->width = width < 64.0 ? 64u : width > 0x1p29 ? 1u << 29 : static_cast<std::uint32_t>(width);
  return true;
}

inline bool tryBracket(ThresholdLayer& layer, std::uint32_t low, std::uint32_t high, std::uint32_t* scratch) {
  const Collected found = collect(layer, low, high, scratch, thresholdScratch(layer.n), Untouched());
  return selectCollected(layer, found, low, high, scratch);
}

// A bracket of 4.5 standard deviations around the wanted rank of a sample: about 2.5 % of a large layer. The positions
// are scattered within equal strides, so that no period in the weights can fall in step with them.
inline bool trySample(ThresholdLayer& layer, std::uint32_t* scratch) {
  if (layer.n <= 8 * kSample) return tryBracket(layer, 0, kHighestKey, scratch);
  const std::int64_t stride = layer.n / kSample;
  for (std::int64_t i = 0; i < kSample; ++i) {
    const std::uint64_t scattered = (static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15u) >> 40;
    scratch[i] = keyOf(layer.w[i * stride + static_cast<std::int64_t>(scattered % static_cast<std::uint64_t>(stride))]);
    scratch[kSample + i] = scratch[i];
  }
  const double fraction = static_cast<double>(layer.k) / static_cast<double>(layer.n);
  const double spread = 4.5 * __builtin_sqrt(fraction * (1.0 - fraction) * static_cast<double>(kSample)) + 3.0;
  const std::int64_t from = static_cast<std::int64_t>(fraction * static_cast<double>(kSample) - spread);
  const std::int64_t to = static_cast<std::int64_t>(fraction * static_cast<double>(kSample) + spread);
  const std::uint32_t low = from < 0 ? 0 : selectKey(scratch, kSample, 0, kHighestKey, from).key;
  const std::uint32_t high =
      to >= kSample ? kHighestKey : selectKey(scratch + kSample, kSample, 0, kHighestKey, to).key;
  return tryBracket(layer, low, high, scratch);
}

// Adds to bins how often each digit (key >> shift) & (size - 1) occurs among the keys that agree with prefix above it.
inline void countDigits(const ThresholdLayer& layer, std::uint32_t prefix, int shift, int bits, std::int64_t* bins) {
  const std::uint32_t size = 1u << bits;
#pragma omp parallel if (layer.n >= kParallel)
  {
    std::int64_t mine[2048] = {};
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < layer.n; ++i) {
      const std::uint32_t key = keyOf(layer.w[i]);
      if (((key ^ prefix) >> shift) < size) ++mine[(key >> shift) & (size - 1)];
    }
    for (std::uint32_t digit = 0; digit < size; ++digit) {
#pragma omp atomic
      bins[digit] += mine[digit];
    }
  }
}

// Needs no memory, whatever the keys are.
inline void radixThreshold(ThresholdLayer& layer) {
  constexpr int kShifts[3] = {20, 10, 0};
  constexpr int kBits[3] = {11, 10, 10};
  std::uint32_t key = 0;
  std::int64_t before = 0;
  std::int64_t equal = 0;
  for (int round = 0; round < 3; ++round) {
    std::int64_t bins[2048] = {};
    countDigits(layer, key, kShifts[round], kBits[round], bins);
    std::uint32_t digit = 0;
    while (before + bins[digit] < layer.k) before += bins[digit++];
    key |= digit << kShifts[round];
    equal = bins[digit];
  }
  std::uint32_t next = before + equal > layer.k ? key : kHighestKey + 1;
  if (next != key) {
#pragma omp parallel for simd reduction(min : next) if (layer.n >= kParallel)
    for (std::int64_t i = 0; i < layer.n; ++i) {
      const std::uint32_t other = keyOf(layer.w[i]);
      next = other > key && other < next ? other : next;
    }
  }
  finishThreshold(layer, {key, next, before});
  layer.bracket->width = 0;
}

// A layer without a bracket that holds.
inline void searchAnew(ThresholdLayer& layer, std::uint32_t* scratch) {
  if (layer.k == 0) {
    layer.lower = layer.upper = layer.t = __builtin_nanf("");
    layer.ties = 0;
  } else if (!trySample(layer, scratch)) {
    radixThreshold(layer);
  }
}

// One layer, by its bracket if it has one. `prepare` as above, for all of the layer; scratch: thresholdScratch(n).
template <class Prepare>
inline void thresholdPrepared(ThresholdLayer& layer, std::uint32_t* scratch, const Prepare& prepare) {
  const ThresholdBracket last = *layer.bracket;
  const bool none = layer.k == 0 || last.width == 0;
  const std::uint32_t low = none ? kHighestKey : last.key > last.width ? last.key - last.width : 0;
  const std::uint32_t high = !none && last.key + last.width < kHighestKey ? last.key + last.width : kHighestKey;
  const Collected found = collect(layer, low, high, scratch, thresholdScratch(layer.n), prepare);
  if (none || !selectCollected(layer, found, low, high, scratch)) searchAnew(layer, scratch);
}

// Fills in the results of every layer and moves its bracket. scratch: the largest thresholdScratch(n) of the layers.
inline void threshold(ThresholdLayer* layers, int count, std::uint32_t* scratch) {
  for (int l = 0; l < count; ++l) {
    if (layers[l].k > 0 && layers[l].bracket->width > 0) {
      thresholdPrepared(layers[l], scratch, Untouched());
    } else {
      searchAnew(layers[l], scratch);
    }
  }
}

}  // namespace secateur::SECATEUR_ISA
