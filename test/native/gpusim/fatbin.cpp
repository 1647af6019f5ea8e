// The PTX inside a fatbin: a header (magic, version, header size, total size), then entries, each with a header of its
// own that gives its kind (1 is PTX), header size and payload size, and, at 16 and 56, the sizes before and after
// decompression (zstd) of a compressed payload.
#include <dlfcn.h>

#include <cstring>

#include "ptx.h"

namespace gpusim {

namespace {

constexpr std::uint32_t magic = 0xba55ed50;
constexpr std::uint32_t zstdMagic = 0xfd2fb528;

template <class T>
T read(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// The one function of libzstd that is needed; every Debian has the library, not its header.
std::string decompressed(const unsigned char* data, std::size_t bytes, std::size_t size) {
  using Decompress = std::size_t (*)(void*, std::size_t, const void*, std::size_t);
  void* library = dlopen("libzstd.so.1", RTLD_NOW);
  const auto decompress =
      library == nullptr ? nullptr : reinterpret_cast<Decompress>(dlsym(library, "ZSTD_decompress"));
  if (decompress == nullptr) throw PtxError("the PTX of this fatbin is compressed and libzstd.so.1 is missing");
  std::string text(size, 0);
  if (decompress(&text[0], size, data, bytes) != size) throw PtxError("the compressed PTX of this fatbin is damaged");
  return text.c_str();
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
      const unsigned char* payload = data + at + entryHeader;
      if (read<std::uint32_t>(payload) == zstdMagic)
        return decompressed(payload, read<std::uint32_t>(data + at + 16), read<std::uint32_t>(data + at + 56));
      const char* text = reinterpret_cast<const char*>(payload);
      return std::string(text, strnlen(text, bytes));
    }
    at += entryHeader + bytes;
  }
  throw PtxError("this fatbin holds no PTX");
}

}  // namespace gpusim
