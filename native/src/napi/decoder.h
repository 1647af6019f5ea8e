// Reads an op's arguments from the block of doubles that JavaScript filled, in the order ops_generated.h declares:
// inputs, attributes, scalars, random range, accumulate flag, outputs.
#pragma once
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/handles.h"

namespace secateur {

class Decoder {
 public:
  Decoder(const double* block, std::size_t length, Device& device) : block_(block), length_(length), device_(device) {}

  View tensor() { return handles().view(handle()); }

  View optional() {
    const Handle h = handle();
    return h == 0 ? View{} : handles().view(h);
  }

  // An input that the op overwrites.
  View inout() {
    const Handle h = handle();
    handles().written(h);
    return handles().view(h);
  }

  View optionalInout() {
    const Handle h = handle();
    if (h == 0) return {};
    handles().written(h);
    return handles().view(h);
  }

  // An input that the kernel may read in a layout of its own.
  View packable() {
    packable_ = handle();
    return handles().view(packable_);
  }

  Packed packed(const Layout& layout) const { return handles().packed(packable_, layout); }

  List<View> tensors() {
    List<View> list(count());
    for (std::size_t i = 0; i < list.size(); i++) list[i] = tensor();
    return list;
  }

  List<View> inouts() {
    List<View> list(count());
    for (std::size_t i = 0; i < list.size(); i++) list[i] = inout();
    return list;
  }

  std::int64_t integer() { return static_cast<std::int64_t>(next()); }
  double real() { return next(); }
  bool boolean() { return next() != 0; }

  List<std::int64_t> integers() {
    List<std::int64_t> list(count());
    for (std::size_t i = 0; i < list.size(); i++) list[i] = integer();
    return list;
  }

  List<double> reals() {
    List<double> list(count());
    for (std::size_t i = 0; i < list.size(); i++) list[i] = next();
    return list;
  }

  Random random() {
    Random r;
    r.seed = static_cast<std::uint64_t>(next());
    r.position = static_cast<std::uint64_t>(next());
    return r;
  }

  // 0: absent. 1: allocate (dtype, rank, extents follow). 2: write into the tensor whose handle follows.
  View output() {
    const int mode = static_cast<int>(next());
    if (mode == 0) return {};
    if (mode == 2) {
      const Handle h = handle();
      made_.push_back(h);
      handles().written(h);
      elements_ += handles().view(h).size();
      return handles().view(h);
    }
    View v;
    v.dtype = dtype();
    dims(v);
    const std::size_t bytes = static_cast<std::size_t>(v.size()) * bytesOf(v.dtype);
    const Handle h = handles().create(std::make_shared<Storage>(device_, bytes), 0, v);
    made_.push_back(h);
    created_.push_back(h);
    elements_ += v.size();
    return handles().view(h);
  }

  DType dtype() {
    const auto code = static_cast<unsigned>(next());
    if (code > 3) throw Error("ERR_DTYPE", "unknown dtype code " + std::to_string(code) + ".");
    return static_cast<DType>(code);
  }

  void dims(View& v) {
    const std::size_t rank = count();
    if (rank > maxRank) throw Error("ERR_SHAPE_MISMATCH", "rank " + std::to_string(rank) + " is above 6.");
    v.rank = static_cast<std::uint8_t>(rank);
    std::int64_t size = 1;
    for (std::size_t i = 0; i < rank; i++) {
      v.dims[i] = integer();
      if (v.dims[i] < 0 || __builtin_mul_overflow(size, v.dims[i], &size) || size > std::int64_t{1} << 48) {
        throw Error("ERR_SHAPE_MISMATCH", "a shape has an extent below 0 or more elements than memory could hold.");
      }
    }
  }

  // Nothing is to be computed: there are outputs, and none has an element. Kernels need not think of it.
  bool nothingToDo() const { return !made_.empty() && elements_ == 0; }

  // The outputs' handles go back in the block, in declaration order.
  void giveBack(double* block) const {
    for (std::size_t i = 0; i < made_.size(); i++) block[i] = made_[i];
  }

  // An op that fails before it is queued leaves nothing behind.
  void abandon() {
    for (const Handle h : created_) handles().release(h);
  }

 private:
  double next() {
    if (at_ >= length_) throw Error("ERR_ARGUMENT", "the argument block is too short for this op.");
    return block_[at_++];
  }
  Handle handle() { return static_cast<Handle>(next()); }
  std::size_t count() {
    const double n = next();
    if (!(n >= 0) || n > static_cast<double>(length_))
      throw Error("ERR_ARGUMENT", "a list in the argument block has no valid length.");
    return static_cast<std::size_t>(n);
  }

  const double* block_;
  std::size_t length_;
  Device& device_;
  std::size_t at_ = 0;
  Handle packable_ = 0;
  std::vector<Handle> made_;
  std::vector<Handle> created_;
  std::int64_t elements_ = 0;
};

}  // namespace secateur
