// Chapter 2, continued: the words of an opcode that name types.
#include "ptx.h"

namespace gpusim {

int bytesOf(Type t) {
  switch (t) {
    case Type::pred:
    case Type::u8:
    case Type::s8:
    case Type::b8:
      return 1;
    case Type::u16:
    case Type::s16:
    case Type::b16:
    case Type::f16:
    case Type::bf16:
      return 2;
    case Type::u64:
    case Type::s64:
    case Type::b64:
    case Type::f64:
      return 8;
    case Type::b128:
      return 16;
    default:
      return 4;
  }
}

bool isSigned(Type t) { return t == Type::s8 || t == Type::s16 || t == Type::s32 || t == Type::s64; }
bool isFloat(Type t) { return t >= Type::f16; }

Type typeOf(const std::string& word) {
  static const std::map<std::string, Type> types = {
      {"pred", Type::pred}, {"u8", Type::u8},   {"s8", Type::s8},       {"u16", Type::u16},       {"s16", Type::s16},
      {"u32", Type::u32},   {"s32", Type::s32}, {"u64", Type::u64},     {"s64", Type::s64},       {"b8", Type::b8},
      {"b16", Type::b16},   {"b32", Type::b32}, {"b64", Type::b64},     {"b128", Type::b128},     {"f16", Type::f16},
      {"bf16", Type::bf16}, {"f32", Type::f32}, {"f16x2", Type::f16x2}, {"bf16x2", Type::bf16x2}, {"f64", Type::f64}};
  const auto found = types.find(word);
  return found == types.end() ? Type::none : found->second;
}

bool has(const Words& words, const char* word) {
  for (std::size_t i = 1; i < words.size(); i++) {
    if (words[i] == word) return true;
  }
  return false;
}

}  // namespace gpusim
