// Errors that reach JavaScript as SecateurError: a code and a sentence.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace secateur {

class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

// For kernels, which are compiled per instruction set and so must not instantiate std::string: throws ERR_KERNEL.
[[noreturn]] void fail(const char* message);

}  // namespace secateur
