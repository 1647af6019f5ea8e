// Attention by blocks of queries. A head belongs to one thread, which copies its keys and values to padded f32 buffers
// (keys transposed), and holds the scores of one block of queries against all keys; nothing of queries x keys is kept.
// Backward computes the probabilities of a block again from the saved logarithm of their sum.
#include "ops/scaledDotProductAttention.h"

#include <omp.h>

#include "cpu/matrixTile.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

constexpr std::int64_t queryBlock = 48;

struct Heads {
  std::int64_t batch, heads, queries, keys, d;
  std::int64_t wideKeys, wideD;  // row lengths of the padded buffers
  const std::uint8_t* mask;
  bool causal;
  float scale;
};

SECATEUR_INLINE Heads headsOf(const View& q, const View& k, const View& mask, bool causal, double scale) {
  return {q.dims[0],
          q.dims[1],
          q.dims[2],
          k.dims[2],
          q.dims[3],
          padded(k.dims[2]),
          padded(q.dims[3]),
          mask.present ? mask.as<std::uint8_t>() : nullptr,
          causal,
          static_cast<float>(scale)};
}

// Rows of `d` numbers into padded f32 rows, times a factor; the padding is zeros.
template <class T>
SECATEUR_INLINE void widenRows(const T* from, std::int64_t rows, const Heads& h, float factor, float* to) {
  for (std::int64_t r = 0; r < rows; r++) {
#pragma omp simd
    for (std::int64_t c = 0; c < h.d; c++) to[r * h.wideD + c] = toFloat(from[r * h.d + c]) * factor;
    for (std::int64_t c = h.d; c < h.wideD; c++) to[r * h.wideD + c] = 0;
  }
}

// The rows of a head, one a key, as columns.
template <class T>
SECATEUR_INLINE void transposeKeys(const T* from, const Heads& h, float* to) {
  for (std::int64_t c = 0; c < h.d; c++) {
    for (std::int64_t j = 0; j < h.keys; j++) to[c * h.wideKeys + j] = toFloat(from[j * h.d + c]);
    for (std::int64_t j = h.keys; j < h.wideKeys; j++) to[c * h.wideKeys + j] = 0;
  }
}

template <class T>
SECATEUR_INLINE void storeRows(const float* from, std::int64_t rows, const Heads& h, float factor, T* to) {
  for (std::int64_t r = 0; r < rows; r++) {
#pragma omp simd
    for (std::int64_t c = 0; c < h.d; c++) store(to[r * h.d + c], from[r * h.wideD + c] * factor);
  }
}

SECATEUR_INLINE void visibleKeys(const Heads& h, std::int64_t batch, float* visible) {
  for (std::int64_t j = 0; j < h.keys; j++)
    visible[j] = h.mask == nullptr || h.mask[batch * h.keys + j] != 0 ? 1.0f : 0.0f;
}

// How many keys the queries before `query` may see at most.
SECATEUR_INLINE std::int64_t keysBefore(const Heads& h, std::int64_t query) {
  return h.causal && query < h.keys ? query : h.keys;
}

// Calls head(index, this thread's scratch of `floats` numbers) for every head.
template <class F>
SECATEUR_INLINE void forHeads(const Heads& h, std::int64_t floats, const F& head) {
  const std::int64_t threads = threadCount();
  float* all = scratch<float>(floats * threads);
#pragma omp parallel for schedule(static) num_threads(threadCount())
  for (std::int64_t i = 0; i < h.batch * h.heads; i++) head(i, all + floats * omp_get_thread_num());
}

// Scores to exponentials from the row's maximum; gives their sum's logarithm, and 1 / sum (0 where no key is seen).
struct RowSum {
  float lse, inverse;
};
SECATEUR_INLINE RowSum exponentials(float* s, const float* visible, std::int64_t seen, std::int64_t keys) {
  float largest = -__builtin_inff();
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < seen; j++) {
    s[j] = visible[j] != 0.0f ? s[j] : -__builtin_inff();
    largest = s[j] > largest ? s[j] : largest;
  }
  const float from = largest == -__builtin_inff() ? 0.0f : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < seen; j++) {
    s[j] = vexp(s[j] - from);
    sum += s[j];
  }
  for (std::int64_t j = seen; j < keys; j++) s[j] = 0;
  return {from + vlog(sum), sum == 0.0f ? 0.0f : 1.0f / sum};
}

template <class T>
SECATEUR_INLINE void attend(const Heads& h, const T* q, const T* k, const T* v, T* y, float* lse) {
  const std::int64_t keyFloats = h.d * h.wideKeys, valueFloats = h.keys * h.wideD;
  const std::int64_t scoreFloats = queryBlock * h.wideKeys, blockFloats = queryBlock * h.wideD;
  forHeads(h, keyFloats + valueFloats + scoreFloats + 2 * blockFloats + h.wideKeys,
           [=](std::int64_t head, float* room) {
             float* keysAcross = room;
             float* values = keysAcross + keyFloats;
             float* scores = values + valueFloats;
             float* queries = scores + scoreFloats;
             float* result = queries + blockFloats;
             float* visible = result + blockFloats;
             transposeKeys(k + head * h.keys * h.d, h, keysAcross);
             widenRows(v + head * h.keys * h.d, h.keys, h, 1.0f, values);
             visibleKeys(h, head / h.heads, visible);
             for (std::int64_t first = 0; first < h.queries; first += queryBlock) {
               const std::int64_t count = h.queries - first < queryBlock ? h.queries - first : queryBlock;
               const std::int64_t at = head * h.queries + first;
               const std::int64_t keys = keysBefore(h, first + count);
               widenRows(q + at * h.d, count, h, h.scale, queries);
               smallProduct(count, padded(keys), h.d, {queries, h.wideD, 1, keysAcross, h.wideKeys, scores, h.wideKeys},
                            false);
               float inverse[queryBlock];
               for (std::int64_t i = 0; i < count; i++) {
                 const RowSum sum = exponentials(scores + i * h.wideKeys, visible, keysBefore(h, first + i + 1), keys);
                 lse[at + i] = sum.lse;
                 inverse[i] = sum.inverse;
               }
               smallProduct(count, h.wideD, keys, {scores, h.wideKeys, 1, values, h.wideD, result, h.wideD}, false);
               for (std::int64_t i = 0; i < count; i++)
                 storeRows(result + i * h.wideD, 1, h, inverse[i], y + (at + i) * h.d);
             }
           });
}

// With P the probabilities and G the gradient of y: dV = P^T G, dP = G V^T, dS = P (dP - delta) where delta, a query's
// sum of P dP, is that of G y, dQ = scale dS K, dK = scale dS^T Q.
template <class T>
SECATEUR_INLINE void attendBack(const Heads& h, const T* q, const T* k, const T* v, const T* y, const float* lse,
                                const T* g, T* dq, T* dk, T* dv) {
  const std::int64_t across = h.d * h.wideKeys, along = h.keys * h.wideD;
  const std::int64_t scoreFloats = queryBlock * h.wideKeys, blockFloats = queryBlock * h.wideD;
  const std::int64_t floats = 2 * across + 3 * along + 2 * scoreFloats + 3 * blockFloats + h.wideKeys;
  forHeads(h, floats, [=](std::int64_t head, float* room) {
    float* keysAcross = room;
    float* valuesAcross = keysAcross + across;
    float* keyRows = valuesAcross + across;
    float* dKeys = keyRows + along;
    float* dValues = dKeys + along;
    float* p = dValues + along;
    float* ds = p + scoreFloats;
    float* queries = ds + scoreFloats;
    float* up = queries + blockFloats;
    float* dQueries = up + blockFloats;
    float* visible = dQueries + blockFloats;
    const std::int64_t ofKeys = head * h.keys * h.d;
    transposeKeys(k + ofKeys, h, keysAcross);
    transposeKeys(v + ofKeys, h, valuesAcross);
    widenRows(k + ofKeys, h.keys, h, 1.0f, keyRows);
    visibleKeys(h, head / h.heads, visible);
    for (std::int64_t i = 0; i < along; i++) dKeys[i] = dValues[i] = 0;
    for (std::int64_t first = 0; first < h.queries; first += queryBlock) {
      const std::int64_t count = h.queries - first < queryBlock ? h.queries - first : queryBlock;
      const std::int64_t at = head * h.queries + first;
      const std::int64_t keys = keysBefore(h, first + count);
      widenRows(q + at * h.d, count, h, h.scale, queries);
      widenRows(g + at * h.d, count, h, 1.0f, up);
      smallProduct(count, padded(keys), h.d, {queries, h.wideD, 1, keysAcross, h.wideKeys, p, h.wideKeys}, false);
      smallProduct(count, padded(keys), h.d, {up, h.wideD, 1, valuesAcross, h.wideKeys, ds, h.wideKeys}, false);
      for (std::int64_t i = 0; i < count; i++) {
        float* pRow = p + i * h.wideKeys;
        float* dsRow = ds + i * h.wideKeys;
        const float rowLse = lse[at + i];
        const std::int64_t seen = keysBefore(h, first + i + 1);
        const T *gRow = g + (at + i) * h.d, *yRow = y + (at + i) * h.d;
        float delta = 0;
#pragma omp simd reduction(+ : delta)
        for (std::int64_t c = 0; c < h.d; c++) delta = fma(toFloat(gRow[c]), toFloat(yRow[c]), delta);
#pragma omp simd
        for (std::int64_t j = 0; j < seen; j++) {
          pRow[j] = visible[j] != 0.0f ? vexp(pRow[j] - rowLse) : 0.0f;
          dsRow[j] = pRow[j] * (dsRow[j] - delta);
        }
        for (std::int64_t j = seen; j < keys; j++) pRow[j] = dsRow[j] = 0;
      }
      smallProduct(keys, h.wideD, count, {p, 1, h.wideKeys, up, h.wideD, dValues, h.wideD}, true);
      smallProduct(keys, h.wideD, count, {ds, 1, h.wideKeys, queries, h.wideD, dKeys, h.wideD}, true);
      smallProduct(count, h.wideD, keys, {ds, h.wideKeys, 1, keyRows, h.wideD, dQueries, h.wideD}, false);
      storeRows(dQueries, count, h, h.scale, dq + at * h.d);
    }
    storeRows(dKeys, h.keys, h, 1.0f, dk + ofKeys);
    storeRows(dValues, h.keys, h, 1.0f, dv + ofKeys);
  });
}

}  // namespace

KERNEL(scaledDotProductAttention, F32 | BF16)(const ScaledDotProductAttentionArgs& s) {
  const Heads h = headsOf(s.q, s.k, s.keyMask, s.causal, s.scale);
  withFloat(s.q.dtype, [&](auto tag) {
    using T = decltype(tag);
    attend(h, s.q.as<T>(), s.k.as<T>(), s.v.as<T>(), s.y.as<T>(), s.lse.as<float>());
  });
}

KERNEL(scaledDotProductAttentionGrad, F32 | BF16)(const ScaledDotProductAttentionGradArgs& s) {
  const Heads h = headsOf(s.q, s.k, s.keyMask, s.causal, s.scale);
  withFloat(s.q.dtype, [&](auto tag) {
    using T = decltype(tag);
    attendBack(h, s.q.as<T>(), s.k.as<T>(), s.v.as<T>(), s.y.as<T>(), s.lse.as<float>(), s.g.as<T>(), s.dq.as<T>(),
               s.dk.as<T>(), s.dv.as<T>());
  });
}

}  // namespace secateur::SECATEUR_ISA
