#include "host/describe.h"

#include <string>

#include "api/cublasLt.h"
#include "api/cudnn.h"
#include "api/nccl.h"
#include "core/error.h"
#include "host/device.h"

namespace secateur::cuda {

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

std::string field(const char* name, const std::string& value) { return quoted(name) + ":" + value; }

std::string libraryJson(const Library& library) {
  std::string tried;
  for (const std::string& place : library.tried) tried += (tried.empty() ? "" : ",") + quoted(place);
  std::string found;
  if (!library.version.empty()) found += "," + field("version", quoted(library.version));
  if (!library.path.empty()) found += "," + field("path", quoted(library.path));
  if (!library.available()) found += "," + field("reason", quoted(library.reason));
  return "{" + field("name", quoted(library.wanted.name)) + "," +
         field("available", library.available() ? "true" : "false") + found + "," + field("tried", "[" + tried + "]") +
         "}";
}

std::string librariesJson() {
  return "[" + libraryJson(cublasLt().library) + "," + libraryJson(cudnn().library) + "," +
         libraryJson(nccl().library) + "]";
}

std::string deviceJson() {
  const Gpu& gpu = Gpu::get();
  return "{" + field("available", "true") + "," + field("name", quoted(gpu.name())) + "," +
         field("capability", std::to_string(gpu.capability())) + "," +
         field("multiprocessors", std::to_string(gpu.multiprocessors())) + "," +
         field("memoryBytes", std::to_string(gpu.memoryBytes())) + "," +
         field("l2Bytes", std::to_string(gpu.l2Bytes())) + "," + field("driverCuda", std::to_string(driver().version)) +
         "," + field("libraries", librariesJson()) + "}";
}

}  // namespace

const char* describe() {
  static std::string text;
  try {
    text = deviceJson();
  } catch (const Error& e) {
    text = "{" + field("available", "false") + "," + field("reason", quoted(e.what())) + "," +
           field("libraries", librariesJson()) + "}";
  }
  return text.c_str();
}

}  // namespace secateur::cuda
