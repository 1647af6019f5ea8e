// The k-th and (k+1)-th smallest magnitude of a layer, exactly: the pieces of which the kernels of threshold.cu and
// pdpStep.cu are made.
//
// A key is the bits of a magnitude. From step to step the threshold moves little, so a layer carries a bracket of keys
// around its last one, meant to hold 1 % of the entries. One scan counts the keys below the bracket and collects those
// inside; whether the wanted ranks fall inside is then known, and a selection among the few collected ends it. Copies
// of the bracket's middle, the pivot, are counted and not collected: masses of equal weights (exact zeros) need no
// room.
//
// The ladder, when a scan has missed: a bracket four times as wide; a bracket of 4.5 standard deviations around the
// wanted rank of a sample of 65,536 scattered entries; three rounds of histograms with 2,048 bins over all entries,
// which cannot miss. A layer of at most 65,536 entries is selected from directly, with no sample. All routes count
// integers: the result depends neither on the route nor on the schedule.
#pragma once
#include "gpu/element.cuh"
#include "gpu/select.cuh"
#include "gpu/threshold.h"
#include "gpu/ticket.cuh"

namespace secateur::cuda {

// Rungs of the ladder.
enum Step : unsigned { fromState, wider, fromSample, byDigits };

constexpr unsigned collectRoom = 4096;
constexpr unsigned widestBracket = 1u << 29;
// Half the width of the first bracket around a threshold found without one. A binade has 2^23 keys and, near a
// threshold, about a third of the entries, so this holds a third of a percent.
constexpr unsigned firstWidth = 1u << 15;

struct ThresholdShared {
  union {
    unsigned collected[collectRoom];
    SelectShared select;
  };
  unsigned count, base, below, pivots;
  unsigned ticket, row, last;  // of the caller
};

// What a block found in the chunk it is scanning, for Scan::collect. begin() and end() are called by all threads.
class Collector {
 public:
  SECATEUR_GPU Collector(ThresholdShared& shared, const ThresholdLayer& layer, ThresholdFound* found,
                         const ThresholdPlan& plan)
      : s_(shared), layer_(layer), found_(found), low_(plan.low), high_(plan.high), pivot_(plan.pivot) {}

  SECATEUR_GPU void begin() {
    if (threadIdx.x == 0) s_.count = s_.below = s_.pivots = 0;
    __syncthreads();
  }

  SECATEUR_GPU void take(unsigned key) {
    if (key < low_) {
      below_++;
    } else if (key == pivot_) {
      pivots_++;
    } else if (key <= high_) {
      const unsigned slot = atomicAdd(&s_.count, 1u);
      if (slot < collectRoom) {
        s_.collected[slot] = key;
      } else {
        keep(atomicAdd(&found_->count, 1u), key);
      }
    }
  }

  SECATEUR_GPU void end() {
    below_ = warpReduce(below_, Add());
    pivots_ = warpReduce(pivots_, Add());
    if ((threadIdx.x & 31) == 0) {
      atomicAdd(&s_.below, below_);
      atomicAdd(&s_.pivots, pivots_);
    }
    __syncthreads();
    const unsigned count = min(s_.count, collectRoom);
    if (threadIdx.x == 0) {
      s_.base = atomicAdd(&found_->count, count);
      atomicAdd(&found_->below, s_.below);
      atomicAdd(&found_->pivots, s_.pivots);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < count; i += chunkThreads) keep(s_.base + i, s_.collected[i]);
    __syncthreads();
  }

 private:
  // What finds no room is counted all the same, and the count says that the scan has failed.
  SECATEUR_GPU void keep(unsigned at, unsigned key) {
    if (at < layer_.room) inGlobal(layer_.candidates)[at] = key;
  }

  ThresholdShared& s_;
  const ThresholdLayer& layer_;
  ThresholdFound* found_;
  unsigned low_, high_, pivot_;
  unsigned below_ = 0, pivots_ = 0;
};

// Calls visit(key) for the keys of a chunk: 16 bytes a load, two loads under way.
template <class Visit>
SECATEUR_GPU void eachKey(const ThresholdLayer& layer, std::int64_t chunk, Visit visit) {
  const std::int64_t begin = chunk * chunkSize;
  const auto length = static_cast<int>(layer.n - begin < chunkSize ? layer.n - begin : chunkSize);
  const float* w = inGlobal(layer.w) + begin;
  int done = 0;
  if (aligned(16, w)) {
    constexpr int stride = chunkThreads * 4;
    done = length & ~3;
#pragma unroll 1
    for (int i = threadIdx.x * 4; i < done; i += 2 * stride) {
      const bool two = i + stride < done;
      Pack<float, 4> packs[2];
      packs[0] = loadPack<float, 4>(w + i);
      packs[1] = two ? loadPack<float, 4>(w + i + stride) : packs[0];
#pragma unroll
      for (int j = 0; j < 8; j++) {
        if (j < 4 || two) visit(keyOf(packs[j / 4].at[j % 4]));
      }
    }
  }
  for (int i = done + threadIdx.x; i < length; i += chunkThreads) visit(keyOf(w[i]));
}

// The first scan of a layer, the same in every block: from its bracket if it has one.
SECATEUR_GPU void beginScan(ThresholdPlan& plan, const ThresholdLayer& layer, const ThresholdBracket* state) {
  plan = {layer.k == 0 ? Scan::finished : Scan::nothing, wider, 0, 0, 0, 0};
  if (layer.k == 0 || state == nullptr || state->width == 0) return;
  plan.scan = Scan::collect;
  plan.step = fromState;
  // Whatever the state holds, the bracket is one.
  const unsigned width = min(state->width, widestBracket);
  plan.pivot = state->key & highestKey;
  plan.low = plan.pivot > width ? plan.pivot - width : 0;
  plan.high = min(plan.pivot + width, highestKey);
}

// One chunk's part in the current scan.
SECATEUR_GPU void scanChunk(ThresholdShared& s, const ThresholdLayer& layer, const ThresholdPlan& plan,
                            ThresholdFound* found, std::int64_t chunk) {
  if (plan.scan == Scan::collect) {
    Collector collector(s, layer, found, plan);
    collector.begin();
    eachKey(layer, chunk, [&](unsigned key) { collector.take(key); });
    collector.end();
  } else if (plan.scan == Scan::digits) {
    const unsigned shift = binShift(plan.low, plan.high);
    clearBins(s.select);
    eachKey(layer, chunk, [&](unsigned key) {
      if (key - plan.low <= plan.high - plan.low) atomicAdd(&s.select.bins[(key - plan.low) >> shift], 1u);
    });
    __syncthreads();
    for (unsigned b = threadIdx.x; b < binCount; b += chunkThreads) {
      if (s.select.bins[b] > 0) atomicAdd(&layer.candidates[b], s.select.bins[b]);
    }
    __syncthreads();
  } else if (plan.scan == Scan::next) {
    // Kept with its bits turned, so that zero says none.
    unsigned least = noKey;
    eachKey(layer, chunk, [&](unsigned key) { least = key > plan.high && key < least ? key : least; });
    least = blockReduce(least, Least(), noKey, s.select.warps);
    if (threadIdx.x == 0) atomicMax(&found->above, ~least);
  }
}

// The mean of two magnitudes, rounded once: their sum is exact wherever halving it could round.
SECATEUR_GPU float middle(float lower, float upper) {
  return upper < 0x1p126f ? __fmul_rn(0.5f, __fadd_rn(lower, upper)) : fmaf(0.5f, lower, __fmul_rn(0.5f, upper));
}

SECATEUR_GPU void writeThreshold(const ThresholdOutput& out, int l, const ThresholdLayer& layer, const RankedKey& r,
                                 unsigned width) {
  if (threadIdx.x != 0) return;
  const bool none = layer.k == 0;
  const float nan = __uint_as_float(0x7fc00000u);
  const float lower = none ? nan : __uint_as_float(r.key);
  const float upper = none ? nan : r.next == noKey ? lower : __uint_as_float(r.next);
  out.levels[3 * l] = lower;
  out.levels[3 * l + 1] = upper;
  out.levels[3 * l + 2] = middle(lower, upper);
  out.counts[2 * l] = static_cast<std::int32_t>(layer.k);
  out.counts[2 * l + 1] = none ? 0 : static_cast<std::int32_t>(layer.k - r.before);
  if (out.state != nullptr && !none) out.state[l] = {r.key, width};
}

// The width at which a bracket holds about 1 % of the entries, after one that reached from low to high held `count`.
SECATEUR_GPU unsigned nextWidth(const ThresholdLayer& layer, unsigned low, unsigned high, unsigned count) {
  const float share = 0.005f * static_cast<float>(layer.n) / static_cast<float>(count > 0 ? count : 1);
  const float width = share * static_cast<float>(high - low);
  return static_cast<unsigned>(fminf(fmaxf(width, 64.0f), static_cast<float>(widestBracket)));
}

// A bracket around the wanted rank of a sample. The positions are scattered within equal strides, so that no period in
// the weights can fall in step with them.
SECATEUR_GPU void planFromSample(ThresholdShared& s, const ThresholdLayer& layer, ThresholdPlan& plan) {
  const auto stride = static_cast<unsigned>(layer.n / sampleSize);
  for (unsigned i = threadIdx.x; i < sampleSize; i += chunkThreads)
    layer.candidates[i] = keyOf(layer.w[static_cast<std::int64_t>(i) * stride + __umulhi(i * 0x9e3779b9u, stride)]);
  __syncthreads();
  const float fraction = static_cast<float>(layer.k) / static_cast<float>(layer.n);
  const float center = fraction * sampleSize;
  const float spread = 4.5f * sqrtf(fmaxf(center * (1.0f - fraction), 0.0f)) + 3.0f;
  constexpr int highest = static_cast<int>(sampleSize) - 1;
  const int from = static_cast<int>(center - spread), to = static_cast<int>(center + spread);
  const int at = min(max(static_cast<int>(center), 0), highest);
#pragma unroll 1
  for (int side = -1; side <= 1; side++) {
    const int rank = side < 0 ? max(from, 0) : side == 0 ? at : min(to, highest);
    const unsigned key = selectKey(s.select, layer.candidates, sampleSize, 0, 0, 0, highestKey, rank).key;
    if (side < 0) plan.low = from < 0 ? 0 : key;
    if (side == 0) plan.pivot = key;
    if (side > 0) plan.high = to > highest ? highestKey : key;
  }
  plan.scan = Scan::collect;
  __syncthreads();
}

// After a scan without result: the next rung. Called by all threads of one block; the layer's memory is free to use.
SECATEUR_GPU void climb(ThresholdShared& s, const ThresholdLayer& layer, const ThresholdBracket* state, bool crowded,
                        ThresholdPlan& plan) {
  if (plan.step == fromState && !crowded && layer.n > directSize) {
    const unsigned width = 4 * min(state->width, widestBracket);
    plan.step = wider;
    plan.low = plan.pivot > width ? plan.pivot - width : 0;
    plan.high = min(plan.pivot + width, highestKey);
  } else if (plan.step < fromSample) {
    plan.step = fromSample;
    planFromSample(s, layer, plan);
  } else {
    plan.step = byDigits;
    plan.scan = Scan::digits;
    plan.low = 0;
    plan.high = highestKey;
    plan.before = 0;
    for (unsigned b = threadIdx.x; b < binCount; b += chunkThreads) layer.candidates[b] = 0;
  }
}

// What follows from a scan that all chunks have done; called by all threads of one block. The result is written, or
// `plan` becomes the next scan.
SECATEUR_GPU void decide(ThresholdShared& s, const ThresholdLayer& layer, int l, const ThresholdOutput& out,
                         ThresholdPlan& plan, const ThresholdFound& found) {
  const auto rank = static_cast<unsigned>(layer.k - 1);
  const bool last = layer.k == layer.n;
  const ThresholdBracket* state = out.state == nullptr ? nullptr : out.state + l;
  const auto finish = [&](const RankedKey& r, unsigned width) {
    writeThreshold(out, l, layer, r, width);
    plan.scan = Scan::finished;
  };
  if (plan.scan == Scan::finished) return finish({}, 0);
  if (plan.scan == Scan::collect || plan.scan == Scan::nothing) {
    const unsigned all = found.count + found.pivots;
    const bool crowded = found.count > layer.room;
    const bool hit =
        plan.scan == Scan::collect && !crowded && rank >= found.below && rank - found.below + (last ? 0 : 1) < all;
    const bool direct = !hit && layer.n <= directSize;
    if (!hit && !direct) return climb(s, layer, state, crowded, plan);
    // The bits of the weights serve as keys too.
    RankedKey r = selectKey(s.select, direct ? reinterpret_cast<const unsigned*>(layer.w) : layer.candidates,
                            direct ? layer.n : found.count, plan.pivot, direct ? 0 : found.pivots,
                            direct ? 0 : plan.low, direct ? highestKey : plan.high, direct ? rank : rank - found.below);
    r.before += direct ? 0 : found.below;
    return finish(r, direct ? firstWidth : nextWidth(layer, plan.low, plan.high, found.count));
  }
  if (plan.scan == Scan::digits) {
    const unsigned shift = binShift(plan.low, plan.high);
    for (unsigned b = threadIdx.x; b < binCount; b += chunkThreads) {
      s.select.bins[b] = layer.candidates[b];
      layer.candidates[b] = 0;
    }
    __syncthreads();
    findBin(s.select, rank - plan.before);
    const unsigned equal = s.select.equal;
    plan.before += s.select.skipped;
    plan.low += s.select.bin << shift;
    plan.high = min(plan.high, plan.low + ((1u << shift) - 1));
    __syncthreads();
    if (plan.low < plan.high) return;
    if (rank + 1 < plan.before + equal) return finish({plan.low, plan.low, plan.before}, firstWidth);
    if (last) return finish({plan.low, noKey, plan.before}, firstWidth);
    plan.scan = Scan::next;
    return;
  }
  finish({plan.low, ~found.above, plan.before}, firstWidth);
}

// A block has done its chunk of a round. The last one decides what follows, and publishes it; true in that block if the
// layer is finished.
SECATEUR_GPU bool endRound(ThresholdShared& s, const ThresholdLayer& layer, int l, const ThresholdOutput& out,
                           ThresholdPlan& plan, ThresholdWork* work, unsigned round) {
  if (!arriveLast(&work->arrived, layer.chunks, &s.last)) return false;
  const ThresholdFound found = work->found;
  __syncthreads();
  decide(s, layer, l, out, plan, found);
  const bool finished = plan.scan == Scan::finished;
  if (threadIdx.x == 0) {
    work->plan = plan;
    work->found = {};
    work->arrived = 0;
    if (round == 0) work->missed = finished ? 0 : 1;
  }
  publish(&work->round, finished ? noRound : round + 1);
  return finished;
}

// A chunk's part in a round after the first; true in the block that finishes the layer with it.
SECATEUR_GPU bool laterRound(ThresholdShared& s, const ThresholdLayer& layer, int l, const ThresholdOutput& out,
                             ThresholdWork* work, std::int64_t chunk, unsigned round) {
  waitFor(&work->round, round);
  ThresholdPlan plan = work->plan;
  if (plan.scan == Scan::finished) return false;
  scanChunk(s, layer, plan, &work->found, chunk);
  return endRound(s, layer, l, out, plan, work, round);
}

}  // namespace secateur::cuda
