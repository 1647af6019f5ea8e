#include "host/describe.h"

#include <string>

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

std::string deviceJson() {
  const Gpu& gpu = Gpu::get();
  return "{" + field("available", "true") + "," + field("name", quoted(gpu.name())) + "," +
         field("capability", std::to_string(gpu.capability())) + "," +
         field("multiprocessors", std::to_string(gpu.multiprocessors())) + "," +
         field("memoryBytes", std::to_string(gpu.memoryBytes())) + "," +
         field("l2Bytes", std::to_string(gpu.l2Bytes())) + "," + field("driverCuda", std::to_string(driver().version)) +
         "}";
}

}  // namespace

const char* describe() {
  static std::string text;
  try {
    text = deviceJson();
  } catch (const Error& e) {
    text = "{" + field("available", "false") + "," + field("reason", quoted(e.what())) + "}";
  }
  return text.c_str();
}

}  // namespace secateur::cuda
