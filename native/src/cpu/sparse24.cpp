// Weights with two of every four entries: packing, and products that unpack first. The saving here is memory, not time.
#include "ops/sparse24.h"
#include "cpu/dnnl/convolution.h"
#include "cpu/dnnl/gemm.h"
#include "cpu/parallel.h"

namespace secateur::SECATEUR_ISA {

namespace {

constexpr int group = 4;
constexpr std::int64_t wordColumns = 32;

// Sorts like the magnitude, NaN highest; among equal ones the later entry comes out higher.
SECATEUR_INLINE std::uint32_t rankOf(bf16 x, int place) {
  return static_cast<std::uint32_t>(x.bits & 0x7fff) << 4 | static_cast<std::uint32_t>(place);
}

// The entries of a tile of `tall` rows and four columns that stay, as bits: at most two a row, and in a 4 x 4 tile two
// a column, largest first.
template <int tall>
SECATEUR_INLINE unsigned keptOf(const bf16 (&tile)[tall][group]) {
  constexpr int count = tall * group;
  std::uint32_t ranks[count];
  for (int i = 0; i < count; i++) {
    // Insertion, largest first.
    const std::uint32_t rank = rankOf(tile[i / group][i % group], i);
    int at = i;
    for (; at > 0 && ranks[at - 1] < rank; at--) ranks[at] = ranks[at - 1];
    ranks[at] = rank;
  }
  unsigned kept = 0;
  int inRow[tall] = {}, inColumn[group] = {};
  for (int i = 0; i < count; i++) {
    const int place = static_cast<int>(ranks[i] & 15), row = place / group, column = place % group;
    if (inRow[row] == 2 || inColumn[column] == 2) continue;
    inRow[row]++;
    inColumn[column]++;
    kept |= 1u << place;
  }
  return kept;
}

// Four entries, of which the bits of `kept` stay, as two values and four bits; filled up with zeros at the first free
// places.
SECATEUR_INLINE std::uint32_t packFour(const bf16 (&four)[group], unsigned kept, bf16* values) {
  unsigned chosen = kept;
  for (unsigned place = 0; __builtin_popcount(chosen) < 2; place++) chosen |= 1u << place;
  std::uint32_t bits = 0;
  int k = 0;
  for (int place = 0; place < group; place++) {
    if ((chosen >> place & 1) == 0) continue;
    values[k] = (kept >> place & 1) != 0 ? four[place] : bf16{};
    bits |= static_cast<std::uint32_t>(place) << (2 * k++);
  }
  return bits;
}

template <class T>
SECATEUR_INLINE bf16 low(T x) {
  bf16 y;
  store(y, toFloat(x));
  return y;
}

// One band of `tall` rows; four bits of metadata a group and row go to their place in a word that this call owns.
template <class T, int tall>
void packBand(const Pack24Args& a, const T* w, std::int64_t row, std::int64_t rows, std::int64_t columns) {
  auto* values = a.values.as<bf16>();
  auto* meta = a.meta.as<std::uint32_t>();
  for (std::int64_t c = 0; c < columns; c += group) {
    bf16 tile[tall][group];
    for (int i = 0; i < tall; i++)
      for (int j = 0; j < group; j++) tile[i][j] = low(w[(row + i) * columns + c + j]);
    const unsigned kept = keptOf<tall>(tile);
    for (int i = 0; i < tall; i++) {
      std::uint32_t& word = meta[((row + i) * columns + c) / wordColumns];
      if (c % wordColumns == 0) word = 0;
      word |= packFour(tile[i], kept >> (group * i) & 15, values + ((row + i) * columns + c) / 2) << (c % wordColumns);
    }
    if constexpr (tall == group) {
      auto* valuesT = a.valuesT.as<bf16>();
      auto* metaT = a.metaT.as<std::uint32_t>();
      for (int j = 0; j < group; j++) {
        bf16 column[group];
        unsigned keptColumn = 0;
        for (int i = 0; i < group; i++) {
          column[i] = tile[i][j];
          keptColumn |= (kept >> (group * i + j) & 1) << i;
        }
        std::uint32_t& word = metaT[((c + j) * rows + row) / wordColumns];
        if (row % wordColumns == 0) word = 0;
        word |= packFour(column, keptColumn, valuesT + ((c + j) * rows + row) / 2) << (row % wordColumns);
      }
    }
  }
}

// The dense weight, in scratch memory.
SECATEUR_INLINE const bf16* unpacked(const View& values, const View& meta) {
  const std::int64_t rows = values.dims[0], half = values.dims[1];
  bf16* w = scratch<bf16>(2 * rows * half);
  const bf16* from = values.as<bf16>();
  const auto* words = meta.as<std::uint32_t>();
  parallelFor(rows, 16, [=](std::int64_t begin, std::int64_t end) {
    __builtin_memset(w + begin * 2 * half, 0, static_cast<std::size_t>((end - begin) * 2 * half) * sizeof(bf16));
    for (std::int64_t i = begin * half; i < end * half; i++)
      w[i / 2 * group + (words[i / 16] >> (2 * (i % 16)) & 3)] = from[i];
  });
  return w;
}

SECATEUR_INLINE const float* widened(const View& bias) {
  if (!bias.present) return nullptr;
  auto* wide = scratch<float>(bias.size());
  for (std::int64_t i = 0; i < bias.size(); i++) wide[i] = toFloat(bias.as<bf16>()[i]);
  return wide;
}

enum class Activation { none, relu, gelu };

// In place; the sum was rounded to bf16 before.
SECATEUR_INLINE void activate(const View& y, Activation activation) {
  if (activation == Activation::none) return;
  auto* at = y.as<bf16>();
  parallelFor(y.size(), parallelGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; i++) {
      const float x = toFloat(at[i]);
      const float gelu = 0.5f * x * (1.0f + verf(x * 0x1.6a09e6p-1f));
      store(at[i], activation == Activation::gelu ? gelu : x < 0 ? 0.0f : x);
    }
  });
}

template <class Args>
SECATEUR_INLINE Activation activationOf(const Args& a) {
  return a.activation == Args::Activation::relu   ? Activation::relu
         : a.activation == Args::Activation::gelu ? Activation::gelu
                                                  : Activation::none;
}

}  // namespace

KERNEL(pack24, F32 | BF16)(const Pack24Args& a) {
  if (a.w.size() == 0) return;
  const std::int64_t rows = a.w.dims[0], columns = a.w.size() / rows;
  withFloat(a.w.dtype, [&](auto tag) {
    using T = decltype(tag);
    const T* w = a.w.as<T>();
    if (a.transposed) {
      // A band of 32 rows fills whole words of the transpose.
      parallelFor(rows, wordColumns, [=, &a](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; row += group) packBand<T, group>(a, w, row, rows, columns);
      });
    } else {
      parallelFor(rows, 16, [=, &a](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; row++) packBand<T, 1>(a, w, row, rows, columns);
      });
    }
  });
}

KERNEL(linear24, BF16)(const Linear24Args& a) {
  if (a.y.size() == 0) return;
  const std::int64_t out = a.values.dims[0], columns = 2 * a.values.dims[1];
  onednn::GemmShape shape;
  shape.rows = a.y.size() / out;
  shape.columns = out;
  shape.depth = columns;
  shape.transB = true;
  onednn::gemm(shape, a.x.as<bf16>(), unpacked(a.values, a.meta), widened(a.bias), a.y.as<bf16>());
  activate(a.y, activationOf(a));
}

KERNEL(conv2d24, BF16)(const Conv2d24Args& a) {
  if (a.y.size() == 0) return;
  onednn::ConvShape s;
  s.batch = a.x.dims[0];
  s.height = a.x.dims[1];
  s.width = a.x.dims[2];
  s.in = a.x.dims[3];
  s.out = a.values.dims[0];
  s.kernelH = a.kernel[0];
  s.kernelW = a.kernel[1];
  s.strideH = a.stride[0];
  s.strideW = a.stride[1];
  s.padTop = s.padBottom = a.padding[0];
  s.padLeft = s.padRight = a.padding[1];
  s.dilationH = a.dilation[0];
  s.dilationW = a.dilation[1];
  onednn::convForward<bf16>(s, a.x.as<bf16>(), unpacked(a.values, a.meta), widened(a.bias), a.y.as<bf16>());
  activate(a.y, activationOf(a));
}

}  // namespace secateur::SECATEUR_ISA
