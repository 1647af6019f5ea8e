// Finding a vendor's library at run time. None of them is needed: one that is missing, or of a version that is not
// known here, leaves a reason, and own kernels do its work.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace secateur::cuda {

struct Wanted {
  const char* name;      // as people call it
  const char* file;      // as the dynamic linker knows it
  const char* variable;  // environment variable that names a file, or "none"
  const char* wheel;     // folder of NVIDIA's Python package below site-packages
  const char* package;   // that package
};

struct Library {
  Wanted wanted;
  void* handle = nullptr;
  std::string path;     // where it was found
  std::string version;  // what it says of itself
  std::string reason;   // why it is not used; empty when it is
  std::vector<std::string> tried;

  bool available() const { return reason.empty(); }
};

// Looks for the library: among those already loaded, where the variable says, in Python's site-packages, where the
// dynamic linker looks, in the CUDA toolkit. SECATEUR_CUDA_LIBRARIES=none looks nowhere. Opens what it finds.
Library findLibrary(const Wanted& wanted);

// The entry point; when it is missing, that is the reason why the library is not used.
void* entryOf(Library& library, const char* symbol);

// "9.24.0" for 92400, and as the vendors composed it before, "8.9.7" for 8907.
std::string versionText(std::size_t number);

// Not used after all, since it has this version and `needs` was needed.
void refuseVersion(Library& library, const std::string& needs);

// What a table of entry points is bound to.
template <class Table>
struct Bound {
  Library library;
  Table table;
};

}  // namespace secateur::cuda

// In a table: one member for each entry point of the list, and binding them all.
#define SECATEUR_ENTRY_MEMBER(result, symbol, member, parameters) result(*member) parameters = nullptr;
#define SECATEUR_ENTRY_BIND(result, symbol, member, parameters) \
  bound.table.member = reinterpret_cast<result(*) parameters>(entryOf(bound.library, #symbol));
