// Attention y = softmax(scale q k^T) v and its gradients, in tiles: the scores exist only in registers (Dao et al.
// 2022, arXiv:2205.14135). bf16 multiplies on the tensor cores; sums, exponentials and f32 are in true f32.
//
// A warp has 16 rows of its own and the block passes over all others, a tile at a time. Forward, the rows are queries
// and the others keys. The maximum of a row so far is subtracted from its scores; when it grows, what has been summed
// shrinks.
//
// Backward computes the probabilities P again from the logarithm of their sum. With G the gradient of y,
//   dV = P^T G,  dP = G V^T,  dS = P (dP - delta),  delta = sum over keys of P dP,  dQ = scale dS K,  dK = scale dS^T Q
// in three kernels. The first adds up delta as what it equals, a query's sum of G y. The second has queries as its rows
// and passes over the keys for dQ. The third has keys as its rows, multiplies the other way round, and so gets P^T and
// dS^T where it needs them. Each result is summed by one warp in order: no atomics, the same bits every time.
//
// A head wider than a tile is cut into slices: a product over the width adds up all slices, and a block computes one
// slice of the result.
#include "scaledDotProductAttention.h"

#include "gpu/reduce.cuh"
#include "gpu/rowTile.cuh"
#include "gpu/warpSums.cuh"

namespace secateur::cuda {

constexpr float log2e = 1.44269504f, ln2 = 0.693147181f, infinity = __builtin_huge_valf();

extern __shared__ __align__(16) unsigned char sharedMemory[];

struct MaxOf {
  SECATEUR_GPU float operator()(float a, float b) const { return fmaxf(a, b); }
};

// What a block computes.
struct AttentionPlace {
  std::int64_t head, batch, first;
  int slice;
};
SECATEUR_GPU AttentionPlace attentionPlace(const AttentionShape& s, std::int64_t rows) {
  const std::int64_t tiles = (rows + attentionRows - 1) / attentionRows;
  const std::int64_t tile = blockIdx.x % tiles, rest = blockIdx.x / tiles;
  const std::int64_t head = rest / s.slices;
  return {head, head / s.heads, tile * attentionRows, static_cast<int>(rest % s.slices)};
}

// A distance in rows as a place in a tile, whatever its length.
SECATEUR_GPU int within(std::int64_t distance, int extent) {
  return static_cast<int>(max(min(distance, static_cast<std::int64_t>(extent)), std::int64_t{0}));
}

template <int width>
SECATEUR_GPU int sliceWidth(const AttentionShape& s, int slice) {
  return min(s.d - slice * width, width);
}

// Whether a key may be seen; none beyond the last.
SECATEUR_GPU bool seenKey(const AttentionShape& s, const std::uint8_t* keyMask, std::int64_t batch, std::int64_t key) {
  return key < s.keys && (keyMask == nullptr || keyMask[batch * s.keys + key] != 0);
}

// The sums of a warp, as rows `first` and on of a matrix of count x d; factor(r) times row r.
template <class T, class Sums, class Factor>
SECATEUR_GPU void storeSums(const Sums& sums, T* matrix, std::int64_t first, std::int64_t count, int column, int d,
                            Factor factor) {
  constexpr int run = Sums::run;
  const bool together = d % run == 0 && aligned(run * sizeof(T), matrix);
#pragma unroll
  for (int r = 0; r < Sums::heldRows; r++) {
    const std::int64_t row = first + Sums::row(r);
    if (row >= count) continue;
    const float f = factor(r);
#pragma unroll
    for (int c = 0; c < Sums::heldColumns; c += run) {
      const int at = column + Sums::column(c);
      T* to = matrix + row * d + at;
      Pack<T, run> pack;
#pragma unroll
      for (int i = 0; i < run; i++) pack.at[i] = fromFloat<T>(sums(r, c + i) * f);
      if (together) {
        if (at < d) storePack(to, pack);
      } else {
#pragma unroll
        for (int i = 0; i < run; i++) {
          if (at + i < d) to[i] = pack.at[i];
        }
      }
    }
  }
}

template <class T, int width>
struct ForwardTiles {
  static constexpr unsigned bytes = forwardBytes(sizeof(T), width);
  static constexpr int others = forwardOthers(sizeof(T));
  RowTile<T, attentionRows, width> queries;
  RowTile<T, others, width> keys, values;
  bool seen[others];
  typename ResultSums<T, width>::Exchange exchange[attentionThreads / 32];
};

template <class T, int width>
SECATEUR_GPU void attend(const AttentionParams& p) {
  using Tiles = ForwardTiles<T, width>;
  static_assert(sizeof(Tiles) <= Tiles::bytes, "what the host asks for is enough");
  using Scores = FactorSums<T, Tiles::others>;
  using Result = ResultSums<T, width>;
  constexpr int others = Tiles::others;
  auto& tiles = *reinterpret_cast<Tiles*>(sharedMemory);
  const AttentionShape& s = p.shape;
  const AttentionPlace place = attentionPlace(s, s.queries);
  const T* q = static_cast<const T*>(p.q) + place.head * s.queries * s.d;
  const T* k = static_cast<const T*>(p.k) + place.head * s.keys * s.d;
  const T* v = static_cast<const T*>(p.v) + place.head * s.keys * s.d;
  const int firstRow = threadIdx.x / 32 * warpRows;
  const std::int64_t end = s.causal ? min(s.keys, place.first + attentionRows) : s.keys;
  const float rate = s.scale * log2e;

  const auto stageKeys = [&](std::int64_t key, int slice) {
    if (s.slices > 1 || key == 0)
      tiles.queries.template stage<attentionThreads>(q, place.first, s.queries, slice * width, s.d, s.packed);
    tiles.keys.template stage<attentionThreads>(k, key, s.keys, slice * width, s.d, s.packed);
    commitCopies();
    if (slice == 0 && threadIdx.x < others)
      tiles.seen[threadIdx.x] = seenKey(s, p.keyMask, place.batch, key + threadIdx.x);
  };

  Result sums;
  float largest[Scores::heldRows], total[Scores::heldRows];
#pragma unroll
  for (int r = 0; r < Scores::heldRows; r++) {
    largest[r] = -infinity;
    total[r] = 0;
  }
  if (end > 0) stageKeys(0, 0);
  for (std::int64_t key = 0; key < end; key += others) {
    Scores scores;
    for (int slice = 0; slice < s.slices; slice++) {
      if (slice > 0) {
        __syncthreads();
        stageKeys(key, slice);
      }
      waitCopies<0>();
      __syncthreads();
      if (slice == s.slices - 1) {
        tiles.values.template stage<attentionThreads>(v, key, s.keys, place.slice * width, s.d, s.packed);
        commitCopies();
      }
      __syncwarp();
      scores.multiply(tiles.queries, firstRow, tiles.keys, sliceWidth<width>(s, slice));
    }
#pragma unroll
    for (int r = 0; r < Scores::heldRows; r++) {
      const std::int64_t query = place.first + firstRow + Scores::row(r);
      const int limit = s.causal ? within(query + 1 - key, others) : others;
      float top = largest[r];
#pragma unroll
      for (int c = 0; c < Scores::heldColumns; c++) {
        const int column = Scores::column(c);
        scores(r, c) = column < limit && tiles.seen[column] ? scores(r, c) * rate : -infinity;
        top = fmaxf(top, scores(r, c));
      }
      top = acrossRow<Scores>(top, MaxOf());
      // Where nothing has been seen yet, infinity minus infinity is kept out.
      const float from = top == -infinity ? 0.0f : top;
      const float shrink = exp2Approx(largest[r] - from);
      largest[r] = top;
      total[r] *= shrink;
#pragma unroll
      for (int c = 0; c < Scores::heldColumns; c++) {
        scores(r, c) = exp2Approx(scores(r, c) - from);
        total[r] += scores(r, c);
      }
#pragma unroll
      for (int c = 0; c < Result::heldColumns; c++) sums(r, c) *= shrink;
    }
    __syncthreads();
    if (key + others < end) {
      // The next keys come while the values are multiplied.
      stageKeys(key + others, 0);
      waitCopies<1>();
    } else {
      waitCopies<0>();
    }
    __syncthreads();
    sums.multiplyBy(scores, tiles.values, sliceWidth<width>(s, place.slice), tiles.exchange);
  }

  const std::int64_t first = place.first + firstRow;
#pragma unroll
  for (int r = 0; r < Scores::heldRows; r++) {
    total[r] = acrossRow<Scores>(total[r], Add());
    const std::int64_t row = first + Scores::row(r);
    if (place.slice == 0 && Scores::column(0) == 0 && row < s.queries)
      p.lse[place.head * s.queries + row] = largest[r] * ln2 + logf(total[r]);
  }
  // A query that sees no key gives zeros.
  storeSums(sums, static_cast<T*>(p.y) + place.head * s.queries * s.d, first, s.queries, place.slice * width, s.d,
            [&](int r) { return total[r] == 0.0f ? 0.0f : 1.0f / total[r]; });
}

// A warp has a query.
template <class T>
SECATEUR_GPU void attentionDelta(const AttentionDeltaParams& p) {
  const int lane = threadIdx.x & 31;
  for (std::int64_t row = threadIndex() / 32; row < p.rows; row += threadTotal() / 32) {
    const T *g = static_cast<const T*>(p.g) + row * p.d, *y = static_cast<const T*>(p.y) + row * p.d;
    float sum = 0;
    for (int c = lane; c < p.d; c += 32) sum = fmaf(toFloat(g[c]), toFloat(y[c]), sum);
    sum = warpReduce(sum, Add());
    if (lane == 0) p.delta[row] = sum;
  }
}
extern "C" __global__ void attentionDelta_f32(const __grid_constant__ AttentionDeltaParams p) {
  attentionDelta<float>(p);
}
extern "C" __global__ void attentionDelta_bf16(const __grid_constant__ AttentionDeltaParams p) {
  attentionDelta<bf16>(p);
}

template <class T, int width>
struct BackwardTiles {
  static constexpr unsigned bytes = backwardBytes(sizeof(T), width);
  static constexpr int others = backwardOthers(sizeof(T), width);
  RowTile<T, attentionRows, width> rowX, rowU;
  RowTile<T, others, width> otherX, otherU;
  float lse[others], delta[others];
  bool seen[others];
  typename ResultSums<T, width>::Exchange exchange[attentionThreads / 32];
};

// Rows are queries (x = q, u = g) and the others keys (x = k, u = v), or with `byKey` the other way round.
template <class T, int width, bool byKey>
class Backward {
 public:
  SECATEUR_GPU explicit Backward(const AttentionGradParams& p)
      : p_(p),
        s_(p.shape),
        place_(attentionPlace(s_, byKey ? s_.keys : s_.queries)),
        tiles_(*reinterpret_cast<Tiles*>(sharedMemory)),
        rows_{byKey ? of(p.k, s_.keys) : of(p.q, s_.queries), byKey ? of(p.v, s_.keys) : of(p.g, s_.queries),
              byKey ? s_.keys : s_.queries},
        others_{byKey ? of(p.q, s_.queries) : of(p.k, s_.keys), byKey ? of(p.g, s_.queries) : of(p.v, s_.keys),
                byKey ? s_.queries : s_.keys},
        firstRow_(threadIdx.x / 32 * warpRows) {
#pragma unroll
    for (int r = 0; r < Scores::heldRows; r++) {
      const std::int64_t row = place_.first + firstRow_ + Scores::row(r);
      seen_[r] = !byKey || seenKey(s_, p.keyMask, place_.batch, row);
      lse_[r] = byKey ? 0.0f : lseOf(row);
      delta_[r] = byKey ? 0.0f : deltaOf(row);
    }
  }

  SECATEUR_GPU void queries() {
    Result dq;
    eachTile([&](const Scores& probabilities, const Scores& dp) { multiplyScores(dq, probabilities, dp); });
    store(dq, p_.dq, s_.scale);
  }

  SECATEUR_GPU void keys() {
    Result dk, dv;
    eachTile([&](const Scores& probabilities, const Scores& dp) {
      dv.multiplyBy(probabilities, tiles_.otherU, sliceWidth<width>(s_, place_.slice), tiles_.exchange);
      multiplyScores(dk, probabilities, dp);
    });
    store(dk, p_.dk, s_.scale);
    store(dv, p_.dv, 1);
  }

 private:
  using Tiles = BackwardTiles<T, width>;
  static_assert(sizeof(Tiles) <= Tiles::bytes, "what the host asks for is enough");
  using Scores = FactorSums<T, Tiles::others>;
  using Result = ResultSums<T, width>;
  static constexpr int others = Tiles::others;
  struct Side {
    const T* x;
    const T* u;
    std::int64_t count;
  };

  SECATEUR_GPU const T* of(const void* tensor, std::int64_t rows) const {
    return static_cast<const T*>(tensor) + place_.head * rows * s_.d;
  }
  // Infinite beyond the last query, so that its probabilities are 0.
  SECATEUR_GPU float lseOf(std::int64_t query) const {
    return query < s_.queries ? p_.lse[place_.head * s_.queries + query] * log2e : infinity;
  }

  SECATEUR_GPU float deltaOf(std::int64_t query) const {
    return query < s_.queries ? p_.delta[place_.head * s_.queries + query] : 0.0f;
  }

  // Brings a slice of a tile of others, and of the block's own rows where they are not there yet.
  SECATEUR_GPU void stage(std::int64_t other, int slice, bool withRows) {
    const int column = slice * width;
    if (withRows) {
      tiles_.rowX.template stage<attentionThreads>(rows_.x, place_.first, rows_.count, column, s_.d, s_.packed);
      tiles_.rowU.template stage<attentionThreads>(rows_.u, place_.first, rows_.count, column, s_.d, s_.packed);
    }
    tiles_.otherX.template stage<attentionThreads>(others_.x, other, others_.count, column, s_.d, s_.packed);
    tiles_.otherU.template stage<attentionThreads>(others_.u, other, others_.count, column, s_.d, s_.packed);
    commitCopies();
    if (threadIdx.x >= others) return;
    const std::int64_t at = other + threadIdx.x;
    if (byKey) {
      tiles_.lse[threadIdx.x] = lseOf(at);
      tiles_.delta[threadIdx.x] = deltaOf(at);
    } else {
      tiles_.seen[threadIdx.x] = seenKey(s_, p_.keyMask, place_.batch, at);
    }
  }

  // Calls use(P, dP) for every tile of others; its x and u are in shared memory then, in the block's slice.
  template <class Use>
  SECATEUR_GPU void eachTile(Use use) {
    // With causal, queries before the first key see none of the keys, and keys after the last query are seen by none.
    const std::int64_t begin = byKey && s_.causal ? place_.first / others * others : 0;
    const std::int64_t end = !byKey && s_.causal ? min(others_.count, place_.first + attentionRows) : others_.count;
    for (std::int64_t other = begin; other < end; other += others) {
      Scores probabilities, dp;
      for (int i = 1; i <= s_.slices; i++) {
        const int slice = (place_.slice + i) % s_.slices;  // its own comes last
        __syncthreads();
        stage(other, slice, s_.slices > 1 || other == begin);
        waitCopies<0>();
        __syncthreads();
        probabilities.multiply(tiles_.rowX, firstRow_, tiles_.otherX, sliceWidth<width>(s_, slice));
        dp.multiply(tiles_.rowU, firstRow_, tiles_.otherU, sliceWidth<width>(s_, slice));
      }
      fromScores(probabilities, other);
      use(probabilities, dp);
    }
  }

  // P from the scores, 0 where a query does not see a key.
  SECATEUR_GPU void fromScores(Scores& scores, std::int64_t other) const {
    const float rate = s_.scale * log2e;
#pragma unroll
    for (int r = 0; r < Scores::heldRows; r++) {
      const std::int64_t row = place_.first + firstRow_ + Scores::row(r);
      const int from = byKey && s_.causal ? within(row - other, others) : 0;
      const int to = !byKey && s_.causal ? within(row + 1 - other, others) : others;
#pragma unroll
      for (int c = 0; c < Scores::heldColumns; c++) {
        const int column = Scores::column(c);
        const bool visible = column >= from && column < to && (byKey ? seen_[r] : tiles_.seen[column]);
        const float lse = byKey ? tiles_.lse[column] : lse_[r];
        scores(r, c) = visible ? exp2Approx(scores(r, c) * rate - lse) : 0.0f;
      }
    }
  }

  SECATEUR_GPU void multiplyScores(Result& sums, Scores probabilities, const Scores& dp) {
#pragma unroll
    for (int r = 0; r < Scores::heldRows; r++) {
#pragma unroll
      for (int c = 0; c < Scores::heldColumns; c++) {
        const float delta = byKey ? tiles_.delta[Scores::column(c)] : delta_[r];
        probabilities(r, c) *= dp(r, c) - delta;
      }
    }
    sums.multiplyBy(probabilities, tiles_.otherX, sliceWidth<width>(s_, place_.slice), tiles_.exchange);
  }

  SECATEUR_GPU void store(const Result& sums, void* to, float factor) const {
    storeSums(sums, static_cast<T*>(to) + place_.head * rows_.count * s_.d, place_.first + firstRow_, rows_.count,
              place_.slice * width, s_.d, [&](int) { return factor; });
  }

  const AttentionGradParams& p_;
  const AttentionShape& s_;
  AttentionPlace place_;
  Tiles& tiles_;
  Side rows_, others_;
  int firstRow_;
  bool seen_[Scores::heldRows];
  float lse_[Scores::heldRows], delta_[Scores::heldRows];
};

#define ATTENTION(suffix, T, width)                                               \
  extern "C" __global__ void __launch_bounds__(attentionThreads, 1)               \
      attention##suffix(const __grid_constant__ AttentionParams p) {              \
    attend<T, width>(p);                                                          \
  }                                                                               \
  extern "C" __global__ void __launch_bounds__(attentionThreads, 1)               \
      attentionQueryGrad##suffix(const __grid_constant__ AttentionGradParams p) { \
    Backward<T, width, false>(p).queries();                                       \
  }                                                                               \
  extern "C" __global__ void __launch_bounds__(attentionThreads, 1)               \
      attentionKeyGrad##suffix(const __grid_constant__ AttentionGradParams p) {   \
    Backward<T, width, true>(p).keys();                                           \
  }

ATTENTION(_f32, float, 64)
ATTENTION(_bf16, bf16, 64)
ATTENTION(Broad_bf16, bf16, 128)

}  // namespace secateur::cuda
