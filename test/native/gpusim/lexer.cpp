// Chapter 1: words. Comments go, .loc lines become places, everything else becomes tokens.
#include <cctype>

#include "ptx.h"

namespace gpusim {

namespace {

bool isWord(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.';
}

std::string fileName(const std::string& line) {
  const auto open = line.find('"');
  const auto close = line.rfind('"');
  if (open == std::string::npos || close <= open) return "?";
  const std::string path = line.substr(open + 1, close - open - 1);
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

Lexed lex(const std::string& ptx) {
  Lexed out;
  std::uint16_t file = 0;
  std::uint32_t place = 0;
  std::uint32_t line = 1;
  std::size_t i = 0;
  const auto startsWith = [&](const char* word) {
    return ptx.compare(i, std::char_traits<char>::length(word), word) == 0;
  };
  const auto restOfLine = [&] {
    const std::size_t end = std::min(ptx.find('\n', i), ptx.size());
    std::string rest = ptx.substr(i, end - i);
    i = end;
    return rest;
  };
  while (i < ptx.size()) {
    const char c = ptx[i];
    if (c == '\n') {
      line++;
      i++;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      i++;
    } else if (startsWith("//")) {
      restOfLine();
    } else if (startsWith("/*")) {
      for (; i < ptx.size() && !startsWith("*/"); i++) line += ptx[i] == '\n' ? 1 : 0;
      i += 2;
    } else if (startsWith(".loc\t") || startsWith(".loc ")) {
      std::sscanf(restOfLine().c_str() + 4, "%hu %u", &file, &place);
    } else if (startsWith(".file\t") || startsWith(".file ")) {
      const std::string text = restOfLine();
      unsigned number = 0;
      std::sscanf(text.c_str() + 5, "%u", &number);
      if (out.files.size() <= number) out.files.resize(number + 1);
      out.files[number] = fileName(text);
    } else {
      const std::size_t start = i;
      if (isWord(c)) {
        // "::" belongs to a word (ld.global.L2::128B), one colon ends a label.
        while (i < ptx.size() && (isWord(ptx[i]) || (startsWith("::") && isWord(ptx[i + 2]))))
          i += ptx[i] == ':' ? 2 : 1;
      } else if (c == '"') {
        i = ptx.find('"', i + 1) + 1;
      } else {
        i++;
      }
      out.tokens.push_back({ptx.substr(start, i - start), line});
      out.places.emplace_back(file, place);
    }
  }
  return out;
}

}  // namespace gpusim
