// What was made for a shape, kept for the shapes used last.
#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace secateur::cuda {

template <class Value>
class Recent {
 public:
  using Key = std::vector<std::int64_t>;
  explicit Recent(std::size_t capacity) : capacity_(capacity) {}

  // The value for the key, made by `make` when it is not there.
  template <class Make>
  const Value& get(const Key& key, const Make& make) {
    const auto found = places_.find(key);
    if (found != places_.end()) {
      values_.splice(values_.begin(), values_, found->second);
      return values_.front().second;
    }
    values_.emplace_front(key, make());
    places_.emplace(key, values_.begin());
    if (values_.size() > capacity_) {
      places_.erase(values_.back().first);
      values_.pop_back();
    }
    return values_.front().second;
  }

 private:
  std::size_t capacity_;
  std::list<std::pair<Key, Value>> values_;
  std::map<Key, typename std::list<std::pair<Key, Value>>::iterator> places_;
};

}  // namespace secateur::cuda
