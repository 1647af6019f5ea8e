// The PTX inside a fatbin: a header (magic, version, header size, total size), then entries, each with a header of its
// own that gives its kind (1 is PTX), header size and payload size.
#include <cstring>

#include "ptx.h"

namespace gpusim {

namespace {

constexpr std::uint32_t magic = 0xba55ed50;

template <class T>
T read(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

}  // namespace

std::string ptxOf(const void* image) {
  const auto* data = static_cast<const unsigned char*>(image);
  if (read<std::uint32_t>(data) != magic) {
    const std::string text(static_cast<const char*>(image));
    if (text.find(".version") == std::string::npos) throw PtxError("the image is neither a fatbin nor PTX");
    return text;
  }
  const auto headerBytes = read<std::uint16_t>(data + 6);
  const auto total = read<std::uint64_t>(data + 8);
  for (std::uint64_t at = headerBytes; at < headerBytes + total;) {
    const auto kind = read<std::uint16_t>(data + at);
    const auto entryHeader = read<std::uint32_t>(data + at + 4);
    const auto bytes = read<std::uint64_t>(data + at + 8);
    if (kind == 1) {
      const char* text = reinterpret_cast<const char*>(data + at + entryHeader);
      const std::string ptx(text, strnlen(text, bytes));
      if (ptx.find(".version") == std::string::npos)
        throw PtxError("the PTX of this fatbin is compressed: build it with --no-compress");
      return ptx;
    }
    at += entryHeader + bytes;
  }
  throw PtxError("this fatbin holds no PTX");
}

}  // namespace gpusim
