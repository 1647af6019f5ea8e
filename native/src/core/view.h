// What a kernel sees of a tensor, and of the lists an op may take. Plain data: no owner, no virtual, nothing that a
// kernel file would instantiate as a weak symbol (every member is forced inline).
#pragma once
#include <cstddef>
#include <cstdint>

#define SECATEUR_ALWAYS_INLINE inline __attribute__((always_inline))

namespace secateur {

enum class DType : std::uint8_t { f32, bf16, i32, u8 };

SECATEUR_ALWAYS_INLINE std::size_t bytesOf(DType t) { return t == DType::u8 ? 1 : t == DType::bf16 ? 2 : 4; }

constexpr int maxRank = 6;

struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::uint8_t rank = 0;
  bool present = false;
  std::int64_t dims[maxRank] = {};

  SECATEUR_ALWAYS_INLINE std::int64_t size() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    return n;
  }
  // Axis counted from the back: back(1) is the last.
  SECATEUR_ALWAYS_INLINE std::int64_t back(int i) const { return dims[rank - i]; }
  template <class T>
  SECATEUR_ALWAYS_INLINE T* as() const {
    return static_cast<T*>(data);
  }
};

// A list that owns its entries; filled by the decoder, only read by kernels.
template <class T>
class List {
 public:
  List() = default;
  explicit List(std::size_t n) : items_(n == 0 ? nullptr : new T[n]()), size_(n) {}
  List(List&& other) noexcept : items_(other.items_), size_(other.size_) {
    other.items_ = nullptr;
    other.size_ = 0;
  }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  List& operator=(List&&) = delete;
  // Takes the entries of another list in place of its own.
  void assign(List&& other) noexcept {
    delete[] items_;
    items_ = other.items_;
    size_ = other.size_;
    other.items_ = nullptr;
    other.size_ = 0;
  }
  ~List() { delete[] items_; }
  SECATEUR_ALWAYS_INLINE std::size_t size() const { return size_; }
  SECATEUR_ALWAYS_INLINE const T& operator[](std::size_t i) const { return items_[i]; }
  SECATEUR_ALWAYS_INLINE T& operator[](std::size_t i) { return items_[i]; }
  SECATEUR_ALWAYS_INLINE const T* begin() const { return items_; }
  SECATEUR_ALWAYS_INLINE const T* end() const { return items_ + size_; }

 private:
  T* items_ = nullptr;
  std::size_t size_ = 0;
};

// A reserved range of the counter-based generator.
struct Random {
  std::uint64_t seed = 0;
  std::uint64_t position = 0;
};

}  // namespace secateur
