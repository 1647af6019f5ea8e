// Products of bf16 matrices on a processor with AMX, where B is one matrix: what a linear layer does forward, with its
// weight as [columns, depth], and for the gradient of x, with the weight as [depth, columns].
//
// Tiles of A are read from the matrix itself, row by row. Tiles of B hold pairs along the depth, so that B is packed:
//
// * With few rows of A it is cheaper to turn the product round, c' = b' a': then the weight is read as it is, and the
//   few rows are packed. (Only where the weight is [columns, depth]: otherwise oneDNN multiplies few rows.)
// * With many rows the weight is packed, into a copy that stays beside it while it is used again. The first use has no
//   copy: it packs the weight for itself, or turns the product round where that is less to pack.
//
// Each element is the same sum in the same order either way, whether a copy is there or not, and for every number of
// threads. What it brings stands in docs/results.md.
#pragma once

#include "cpu/amx.h"

#ifdef SECATEUR_AMX

#include "core/layout.h"
#include "cpu/vector.h"

namespace secateur::SECATEUR_ISA::amx {

/// c[rows, columns] = a[rows, depth] b, with b [columns, depth] when `transB`, else [depth, columns].
struct Product {
  std::int64_t rows, columns, depth;
  bool transB;
};

enum class Way { none, fewRows, packed };

constexpr std::int64_t kFewRows = 128;
// Between few rows and many, oneDNN is as fast with weights of less than 1 MiB, and faster at their first use.
constexpr std::int64_t kManyRows = 1024, kSmallWeight = std::int64_t{1} << 19;

/// How the functions below compute the product; none: they cannot, or it would not pay. Depends on the shape alone.
static inline Way wayOf(const Product& s) {
  if (s.depth == 0 || s.depth % kDepth != 0 || !available()) return Way::none;
  if (s.rows >= kManyRows) return Way::packed;
  if (s.rows > kFewRows) return s.columns * s.depth < kSmallWeight ? Way::none : Way::packed;
  return s.transB ? Way::fewRows : Way::none;
}

SECATEUR_INLINE std::int64_t panelsOf(std::int64_t columns) { return (columns + kSide - 1) / kSide; }
SECATEUR_INLINE std::int64_t panelBytes(std::int64_t depth) { return depth * kSide * 2; }

/// Rows of a matrix (16, or `count` and zeros) as a panel of B: 16 rows of 16 pairs become 16 pairs of rows.
static inline void packRows(const bf16* from, std::int64_t count, std::int64_t depth, char* to) {
  auto* at = reinterpret_cast<__m512i*>(to);
  for (std::int64_t k = 0; k < depth; k += kDepth) {
    __m512i block[kSide];
    for (std::int64_t r = 0; r < kSide; r++)
      block[r] = r < count ? _mm512_maskz_loadu_epi64(0xff, from + r * depth + k) : __m512i{};
    transpose(block);
    for (int i = 0; i < kSide; i++) *at++ = block[i];
  }
}

/// Columns of a matrix (16, or `count` and zeros) as a panel of B.
static inline void packColumns(const bf16* from, std::int64_t columns, std::int64_t count, std::int64_t depth,
                               char* to) {
  auto* at = reinterpret_cast<__m512i*>(to);
  const auto mask = static_cast<__mmask16>(count >= kSide ? 0xffff : (1 << count) - 1);
  const auto row = [&](std::int64_t k) { return _mm256_maskz_loadu_epi16(mask, from + k * columns); };
  for (std::int64_t k = 0; k < depth; k += 2) *at++ = interleave(row(k), row(k + 1));
}

/// sums = a b for blocks of 32 x 32: calls emit(row, panel, columns, sums) with the first row and panel, the number of
/// panels (1 or 2) and their tiles. A has `rows` rows, B `panels` panels.
template <class Emit>
static inline void multiply(const bf16* a, std::int64_t rows, const char* b, std::int64_t panels, std::int64_t depth,
                            int threads, const Emit& emit) {
  constexpr std::int64_t pair = 2 * kSide;
  // The last rows with zeros behind them: a tile always has 16.
  const std::int64_t whole = rows / pair * pair;
  bf16* last = nullptr;
  if (whole < rows) {
    last = scratch<bf16>(pair * depth);
    __builtin_memcpy(last, a + whole * depth, (rows - whole) * depth * 2);
    __builtin_memset(last + (rows - whole) * depth, 0, (whole + pair - rows) * depth * 2);
  }
  // Half of a core's second-level cache (1 MiB) holds a group of panels, and more blocks than threads share the work.
  std::int64_t group = (std::int64_t{1} << 20) / panelBytes(depth) / 2 * 2;
  if (group < 2) group = 2;
  std::int64_t block = 256;
  const std::int64_t groups = (panels + group - 1) / group;
  while (block > pair && groups * ((rows + block - 1) / block) < 4 * threads) block /= 2;
#pragma omp parallel num_threads(threads)
  {
    configure();
    alignas(64) float sums[4 * kSide * kSide];
#pragma omp for schedule(static) collapse(2)
    for (std::int64_t first = 0; first < rows; first += block)
      for (std::int64_t from = 0; from < panels; from += group)
        for (std::int64_t panel = from; panel < from + group && panel < panels; panel += 2)
          for (std::int64_t row = first; row < first + block && row < rows; row += pair) {
            const std::int64_t columns = panels - panel > 1 ? 2 : 1;
            const auto* tiles = reinterpret_cast<const char*>(row < whole ? a + row * depth : last);
            product(rows - row > kSide ? 2 : 1, columns, tiles, depth * 2 * kSide, b + panel * panelBytes(depth),
                    panelBytes(depth), sums, depth, false, depth * 2, kDepth * 2);
            emit(row, panel, columns, sums);
          }
    release();
  }
}

/// Writes `count` neighbours of a row of the result: the sum, plus the bias, plus what is there.
SECATEUR_INLINE void put(bf16* to, Vec sum, const float* bias, bool accumulate, std::int64_t count) {
  const int n = count < kSide ? static_cast<int>(count) : static_cast<int>(kSide);
  if (bias != nullptr) sum += loadPart(bias, n);
  if (accumulate) sum += loadPart(to, n);
  storePart(to, sum, n);
}

/// The same for 32 neighbours of a row of a new result, in one instruction: who has tiles has that one too. It rounds
/// as `store` does, except that results below the smallest normal number become zero.
SECATEUR_INLINE void putPair(bf16* to, Vec low, Vec high, const float* bias) {
  if (bias != nullptr) {
    low += secateur::SECATEUR_ISA::load(bias);
    high += secateur::SECATEUR_ISA::load(bias + kSide);
  }
  __m512i both;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
  _mm512_storeu_si512(to, both);
}

/// Bytes of B, packed.
SECATEUR_INLINE std::int64_t packedBytes(const Product& s) { return panelsOf(s.columns) * panelBytes(s.depth); }

/// Whether, without a copy of the weight, the rows of A are packed instead: they are fewer.
SECATEUR_INLINE bool turnsRound(const Product& s) { return s.transB && s.rows < s.columns; }

static inline Layout layoutOf(const Product& s) {
  return {static_cast<std::size_t>(packedBytes(s)), !turnsRound(s), {s.transB ? 1 : 0, s.columns, s.depth}};
}

static inline void multiplyPacked(const Product& s, const bf16* a, const bf16* b, const float* bias, bf16* c,
                                  bool accumulate, int threads, Packed copy) {
  const std::int64_t panels = panelsOf(s.columns);
  char* packed = copy.data != nullptr ? static_cast<char*>(copy.data) : scratch<char>(packedBytes(s));
  if (copy.data == nullptr || copy.fill) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (std::int64_t panel = 0; panel < panels; panel++) {
      const std::int64_t column = panel * kSide, count = s.columns - column;
      char* to = packed + panel * panelBytes(s.depth);
      if (s.transB)
        packRows(b + column * s.depth, count, s.depth, to);
      else
        packColumns(b + column, s.columns, count, s.depth, to);
    }
  }
  multiply(a, s.rows, packed, panels, s.depth, threads,
           [&](std::int64_t row, std::int64_t panel, std::int64_t columns, const float* sums) {
             const std::int64_t first = panel * kSide;
             const bool pair = columns == 2 && s.columns - first >= 2 * kSide && !accumulate;
             for (std::int64_t i = 0; i < 2 * kSide && row + i < s.rows; i++) {
               bf16* to = c + (row + i) * s.columns + first;
               const auto tile = [&](std::int64_t j) {
                 return secateur::SECATEUR_ISA::load(sums + ((i / kSide * columns + j) * kSide + i % kSide) * kSide);
               };
               if (pair) {
                 putPair(to, tile(0), tile(1), bias != nullptr ? bias + first : nullptr);
                 continue;
               }
               for (std::int64_t j = 0; j < columns; j++) {
                 const std::int64_t column = j * kSide;
                 put(to + column, tile(j), bias != nullptr ? bias + first + column : nullptr, accumulate,
                     s.columns - first - column);
               }
             }
           });
}

/// The product turned round: rows of the weight are rows of A, and rows of `a` are columns of B.
static inline void multiplyFewRows(const Product& s, const bf16* a, const bf16* b, const float* bias, bf16* c,
                                   bool accumulate, int threads) {
  const std::int64_t panels = panelsOf(s.rows);
  char* packed = scratch<char>(panels * panelBytes(s.depth));
#pragma omp parallel for schedule(static) num_threads(panels > 1 ? threads : 1)
  for (std::int64_t panel = 0; panel < panels; panel++)
    packRows(a + panel * kSide * s.depth, s.rows - panel * kSide, s.depth, packed + panel * panelBytes(s.depth));
  multiply(b, s.columns, packed, panels, s.depth, threads,
           [&](std::int64_t column, std::int64_t panel, std::int64_t columns, const float* sums) {
             const std::int64_t tiles = s.columns - column > kSide ? 2 : 1;
             for (std::int64_t i = 0; i < tiles; i++)
               for (std::int64_t j = 0; j < columns; j++) {
                 __m512i tile[kSide];
                 for (int r = 0; r < kSide; r++)
                   tile[r] = reinterpret_cast<__m512i>(
                       secateur::SECATEUR_ISA::load(sums + ((i * columns + j) * kSide + r) * kSide));
                 transpose(tile);
                 const std::int64_t first = (panel + j) * kSide, at = column + i * kSide;
                 for (std::int64_t r = 0; r < kSide && first + r < s.rows; r++)
                   put(c + (first + r) * s.columns + at, reinterpret_cast<Vec>(tile[r]),
                       bias != nullptr ? bias + at : nullptr, accumulate, s.columns - at);
               }
           });
}

static inline void multiply(const Product& s, const bf16* a, const bf16* b, const float* bias, bf16* c, bool accumulate,
                            Packed copy) {
  // Below this a second thread costs more than it brings.
  constexpr std::int64_t small = std::int64_t{1} << 19;
  const int threads = s.rows * s.columns * s.depth < small ? 1 : threadCount();
  if (wayOf(s) == Way::packed && (copy.data != nullptr || !turnsRound(s)))
    multiplyPacked(s, a, b, bias, c, accumulate, threads, copy);
  else
    multiplyFewRows(s, a, b, bias, c, accumulate, threads);
}

}  // namespace secateur::SECATEUR_ISA::amx
#endif
