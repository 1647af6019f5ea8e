// Whether a function declared here can stand for the vendor's: as many parameters, each of the same size and nature.
// Enumerations stand for integers, and pointers for pointers to the like; what an opaque type is called does not
// matter.
#pragma once
#include <type_traits>

namespace vendorCheck {

template <class T>
constexpr bool isOpaque = std::is_void_v<T> || std::is_class_v<T> || std::is_array_v<T>;
template <class T>
constexpr bool isNumber = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// Values of these types are passed alike.
template <class A, class B>
constexpr bool sameValue();

template <class A, class B>
constexpr bool samePointee() {
  if constexpr (std::is_const_v<A> != std::is_const_v<B>) {
    return false;
  } else {
    using X = std::remove_const_t<A>;
    using Y = std::remove_const_t<B>;
    if constexpr (isOpaque<X> || isOpaque<Y>)
      return isOpaque<X> && isOpaque<Y>;
    else
      return sameValue<X, Y>();
  }
}

template <class A, class B>
constexpr bool sameValue() {
  if constexpr (std::is_same_v<A, B>)
    return true;
  else if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>)
    return samePointee<std::remove_pointer_t<A>, std::remove_pointer_t<B>>();
  else if constexpr (isNumber<A> && isNumber<B>)
    return sizeof(A) == sizeof(B) && std::is_floating_point_v<A> == std::is_floating_point_v<B>;
  else if constexpr (std::is_class_v<A> && std::is_class_v<B>)
    return sizeof(A) == sizeof(B) && alignof(A) == alignof(B);
  else
    return false;
}

template <class Ours, class Theirs>
struct Same : std::false_type {};
template <class R, class... P, class S, class... Q>
struct Same<R (*)(P...), S (*)(Q...)> {
  static constexpr bool parameters() {
    if constexpr (sizeof...(P) == sizeof...(Q))
      return (sameValue<P, Q>() && ...);
    else
      return false;
  }
  static constexpr bool value = sameValue<R, S>() && parameters();
};

// The check itself can fail.
static_assert(Same<int (*)(int*, const void*), int (*)(unsigned*, const struct Opaque*)>::value, "opaque pointers");
static_assert(!Same<int (*)(int), int (*)(long)>::value, "sizes differ");
static_assert(!Same<int (*)(int), int (*)(float)>::value, "an integer is no float");
static_assert(!Same<int (*)(int), int (*)(int, int)>::value, "one parameter too few");
static_assert(!Same<int (*)(int*), int (*)(const int*)>::value, "const is part of it");
static_assert(!Same<int (*)(int*), int (*)(int**)>::value, "a pointer to a pointer is another thing");
static_assert(!Same<int (*)(int), int (*)(int*)>::value, "a number is no pointer");

}  // namespace vendorCheck
