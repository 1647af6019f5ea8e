// Chapter 12: matrix products of a warp, and the loads that feed them. The places of the fragments are those of the PTX
// ISA, section "Matrix multiply-accumulate operation using mma instruction": with group = lane / 4 and t = lane % 4,
//   A 16 x 16 (16-bit):  rows group, group + 8; columns 2 t, 2 t + 1, and the same + 8
//   B 16 x 8:            rows 2 t, 2 t + 1, and the same + 8; column group
//   C 16 x 8 (f32):      rows group, group + 8; columns 2 t, 2 t + 1
#include <cmath>
#include <cstring>

#include "access.h"
#include "numbers.h"

namespace gpusim {

namespace {

void wholeWarp(Warp& w, const Instruction& i, std::uint32_t mask) {
  if (mask != allLanes)
    fault(w, i, mask == 0 ? 0 : __builtin_ctz(mask), launchFailed, "needs all 32 lanes of the warp, together");
}

float half(std::uint64_t word, int upper, Type t) {
  const auto x = static_cast<std::uint16_t>(word >> (16 * upper));
  return t == Type::bf16 ? fromBf16(x) : fromF16(x);
}

// The 19 bits that a tf32 operand has.
float tf32(std::uint64_t x) { return as<float>(x & 0xffffe000u); }

struct Accumulator {
  float c[16][8];
};

// The places of C; `first` is the index of its first register among `rows`.
template <class F>
void eachC(F visit) {
  for (int l = 0; l < lanes; l++) {
    for (int k = 0; k < 4; k++) visit(l, k, l / 4 + (k >= 2 ? 8 : 0), l % 4 * 2 + k % 2);
  }
}

void multiply(Warp& w, const Instruction& i, const float (*a)[32], const float (*b)[8], int depth, int cAt) {
  Accumulator sum;
  eachC([&](int l, int k, int r, int c) { sum.c[r][c] = as<float>(w.row(i.src[cAt + k])[l]); });
  for (int r = 0; r < 16; r++) {
    for (int k = 0; k < depth; k++) {
      const float x = a[r][k];
      for (int c = 0; c < 8; c++) sum.c[r][c] += x * b[k][c];
    }
  }
  eachC([&](int l, int k, int r, int c) { w.row(i.dst[k])[l] = bits(sum.c[r][c]); });
}

// 16-bit A (16 x depth), B (depth x 8): depth 8 or 16.
template <int depth>
void mma16(Warp& w, const Instruction& i, std::uint32_t mask) {
  wholeWarp(w, i, mask);
  float a[16][32];
  float b[32][8];
  const int aRegisters = depth == 16 ? 4 : 2;
  for (int l = 0; l < lanes; l++) {
    const int group = l / 4, t = l % 4;
    for (int reg = 0; reg < aRegisters; reg++) {
      for (int e = 0; e < 2; e++)
        a[group + (reg % 2) * 8][2 * t + e + (reg / 2) * 8] = half(w.row(i.src[reg])[l], e, i.from);
    }
    for (int reg = 0; reg < aRegisters / 2; reg++) {
      for (int e = 0; e < 2; e++) b[2 * t + e + reg * 8][group] = half(w.row(i.src[aRegisters + reg])[l], e, i.from);
    }
  }
  multiply(w, i, a, b, depth, aRegisters + aRegisters / 2);
}

// tf32 A (16 x 8): a0 (group, t), a1 (group + 8, t), a2 (group, t + 4), a3 (group + 8, t + 4); B: b0 (t, group), b1 (t
// + 4, group).
void mmaTf32(Warp& w, const Instruction& i, std::uint32_t mask) {
  wholeWarp(w, i, mask);
  float a[16][32];
  float b[32][8];
  for (int l = 0; l < lanes; l++) {
    const int group = l / 4, t = l % 4;
    for (int reg = 0; reg < 4; reg++) a[group + (reg % 2) * 8][t + (reg / 2) * 4] = tf32(w.row(i.src[reg])[l]);
    for (int reg = 0; reg < 2; reg++) b[t + reg * 4][group] = tf32(w.row(i.src[4 + reg])[l]);
  }
  multiply(w, i, a, b, 8, 6);
}

// A is 16 x 32 of which two in every four columns are stored: registers as for 16 x 16, where columns 2 j and 2 j + 1
// are the two of columns 4 j to 4 j + 3. B: rows 2 t, 2 t + 1, each + 8, + 16, + 24. The metadata of rows group (low
// half) and group + 8 (high half) comes from two of every four lanes: t = 2 f for columns 0 to 15, t = 2 f + 1 for 16
// to 31, where f is the selector; four bits a group of columns, two for each stored element, the first below the
// second.
void mmaSparse(Warp& w, const Instruction& i, std::uint32_t mask) {
  wholeWarp(w, i, mask);
  float a[16][32] = {};
  float b[32][8];
  const auto selector = static_cast<int>(w.row(i.src[13])[0]);
  for (int l = 0; l < lanes; l++) {
    const int group = l / 4, t = l % 4;
    for (int reg = 0; reg < 4; reg++) {
      const int row = group + (reg % 2) * 8;
      const int block = t + (reg / 2) * 4;  // of four logical columns
      const int holder = group * 4 + 2 * selector + block / 4;
      const auto word = static_cast<std::uint32_t>(w.row(i.src[12])[holder]);
      const auto four = word >> (16 * (reg % 2) + 4 * (block % 4)) & 15;
      const int first = static_cast<int>(four & 3), second = static_cast<int>(four >> 2);
      if (first >= second)
        fault(w, i, holder, launchFailed,
              "2:4 metadata: the indices of a group are not in order (" + std::to_string(first) + ", " +
                  std::to_string(second) + ")");
      a[row][4 * block + first] = half(w.row(i.src[reg])[l], 0, i.from);
      a[row][4 * block + second] = half(w.row(i.src[reg])[l], 1, i.from);
    }
    for (int reg = 0; reg < 4; reg++) {
      for (int e = 0; e < 2; e++) b[2 * t + e + reg * 8][group] = half(w.row(i.src[4 + reg])[l], e, i.from);
    }
  }
  multiply(w, i, a, b, 32, 8);
}

// Lanes 8 q to 8 q + 7 hold the addresses of the eight rows of matrix q.
template <bool transposed>
void loadMatrix(Warp& w, const Instruction& i, std::uint32_t mask) {
  wholeWarp(w, i, mask);
  const int count = i.dsts;
  std::uint16_t m[4][8][8];
  for (int l = 0; l < 8 * count; l++) {
    const std::uint64_t at = w.row(i.src[0])[l] + static_cast<std::uint64_t>(i.immediate);
    std::memcpy(m[l / 8][l % 8], reach(w, i, l, Space::shared, at & ~windowMask, 16, Access::read), 16);
  }
  for (int l = 0; l < lanes; l++) {
    for (int q = 0; q < count; q++) {
      const int r = l / 4, c = l % 4 * 2;
      const std::uint64_t low = transposed ? m[q][c][r] : m[q][r][c];
      const std::uint64_t high = transposed ? m[q][c + 1][r] : m[q][r][c + 1];
      w.row(i.dst[q])[l] = high << 16 | low;
    }
  }
}

// cp.async: the bytes are on their way until a wait lets them land.
void copyAsync(Warp& w, const Instruction& i, std::uint32_t mask) {
  const auto bytes = static_cast<std::uint32_t>(w.row(i.src[2])[0]);
  std::uint64_t addresses[lanes];
  std::uint32_t reading = 0;
  eachLane(mask, [&](int l) {
    PendingCopy copy{};
    copy.lane = l;
    copy.bytes = bytes;
    const std::uint64_t to = w.row(i.src[0])[l] & ~windowMask;
    copy.to = static_cast<std::uint32_t>(to);
    const std::uint64_t from = w.row(i.src[1])[l];
    const auto size = i.srcs > 3 ? static_cast<std::uint32_t>(w.row(i.src[3])[l]) : bytes;  // the rest is zeros
    if (size > bytes) fault(w, i, l, launchFailed, "an asynchronous copy reads more than it writes");
    if (from % bytes != 0) fault(w, i, l, misaligned, "the source of an asynchronous copy is not aligned");
    if (size > 0) {
      std::memcpy(copy.data, reach(w, i, l, Space::global, from, size, Access::read), size);
      addresses[l] = from;
      reading |= 1u << l;
    }
    reach(w, i, l, Space::shared, to, bytes, Access::write);
    for (std::uint32_t word = copy.to / 4; word < (copy.to + bytes) / 4; word++) w.block->shadow[word].pending = true;
    w.copies.push_back(copy);
  });
  if (reading != 0) countRequest(w, addresses, reading, bytes, false);
}

void commitCopies(Warp& w, const Instruction&, std::uint32_t) {
  w.copyGroups.push_back(std::move(w.copies));
  w.copies.clear();
}

void land(Warp& w, const std::vector<PendingCopy>& group) {
  Block& b = *w.block;
  for (const PendingCopy& copy : group) {
    std::memcpy(b.shared.data() + copy.to, copy.data, copy.bytes);
    for (std::uint32_t word = copy.to / 4; word < (copy.to + copy.bytes) / 4; word++) {
      SharedShadow& s = b.shadow[word];
      s = {};
      s.written.at = momentOf(w, copy.lane);
      std::memset(s.written.lane, copy.lane, sizeof(s.written.lane));
      s.written.bytes = 15;
    }
  }
}

void waitCopies(Warp& w, const Instruction& i, std::uint32_t mask) {
  if (i.flags == 1) commitCopies(w, i, mask);  // wait_all takes what was not committed, too
  const std::size_t left = i.flags == 1 ? 0 : static_cast<std::size_t>(w.row(i.src[0])[0]);
  while (w.copyGroups.size() > left) {
    land(w, w.copyGroups.front());
    w.copyGroups.pop_front();
  }
}

}  // namespace

bool tensorFamily(const Words& words, Instruction& i) {
  const std::string& op = words[0];
  i.kind = Class::tensor;
  if (op == "cp" && has(words, "async")) {
    i.kind = Class::memory;
    if (has(words, "commit_group")) {
      i.run = commitCopies;
    } else if (has(words, "wait_group") || has(words, "wait_all")) {
      i.flags = has(words, "wait_all") ? 1 : 0;
      i.run = waitCopies;
    } else {
      i.run = has(words, "bulk") || i.srcs < 3 ? nullptr : copyAsync;
    }
    return i.run != nullptr;
  }
  if (op == "ldmatrix") {
    i.run = has(words, "trans") ? loadMatrix<true> : loadMatrix<false>;
    return has(words, "m8n8") && has(words, "b16");
  }
  if (op != "mma") return false;
  // mma.sync.aligned.shape.row.col.f32.<a>.<b>.f32
  if (i.type != Type::f32 || !has(words, "row") || !has(words, "col")) {
    const bool tensorFloat = has(words, "tf32");
    if (!tensorFloat || i.type != Type::f32) return false;
  }
  if (has(words, "sp") || has(words, "sp::ordered_metadata") || words[1] == "sp" ||
      words[1] == "sp::ordered_metadata") {
    i.run = has(words, "m16n8k32") && (i.from == Type::bf16 || i.from == Type::f16) ? mmaSparse : nullptr;
  } else if (has(words, "tf32")) {
    i.run = has(words, "m16n8k8") ? mmaTf32 : nullptr;
  } else if (i.from == Type::bf16 || i.from == Type::f16) {
    i.run = has(words, "m16n8k16") ? mma16<16> : has(words, "m16n8k8") ? mma16<8> : nullptr;
  }
  return i.run != nullptr;
}

}  // namespace gpusim
