// Private layouts: a copy of a weight in the order in which a kernel wants to read it, kept beside the weight's storage
// and unseen by anybody else. Plain data, like View.
//
// JavaScript's thread decides, when a call is put on the queue: the first call that meets the copy fills it, later ones
// read it, and a write to the weight drops it. The queue keeps the order, so a kernel need not ask anybody.
#pragma once
#include <cstddef>
#include <cstdint>

namespace secateur {

/// What a kernel would like to find beside a weight. No bytes: nothing.
struct Layout {
  std::size_t bytes = 0;
  /// Whether the kernel brings the weight into this order anyway, for one call, when there is no copy.
  bool always = false;
  /// Everything that the order of the values depends on. The op is told apart by itself.
  std::int64_t form[12] = {};
  std::uint32_t op = 0;
};

/// What it finds. No data: it works from the plain values.
struct Packed {
  void* data = nullptr;
  /// Nobody has packed this version of the weight yet: the kernel does.
  bool fill = false;
};

}  // namespace secateur
