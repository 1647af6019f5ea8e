#include "api/library.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>

namespace secateur::cuda {

namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool take(Library& library, const std::string& path, int flags = 0) {
  library.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | flags);
  if (library.handle != nullptr) {
    library.path = path;
    return true;
  }
  const char* error = dlerror();
  library.tried.push_back(flags != 0 ? path + " among the libraries already loaded"
                                     : (error == nullptr ? path : std::string(error)));
  return false;
}

// Opens the first file that matches; a pattern without a match was tried all the same.
bool takeMatch(Library& library, const std::string& pattern) {
  glob_t matches{};
  bool found = false;
  if (glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t i = 0; i < matches.gl_pathc && !found; i++) found = take(library, matches.gl_pathv[i]);
  } else {
    library.tried.push_back(pattern + ": no such file");
  }
  globfree(&matches);
  return found;
}

// Where Python packages lie: of the active environment, then the user's, then the system's.
std::vector<std::string> pythonFolders() {
  std::vector<std::string> folders;
  const std::string path = setting("PYTHONPATH");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = path.find(':', at) == std::string::npos ? path.size() : path.find(':', at);
    if (end > at) folders.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  for (const char* environment : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const std::string root = setting(environment);
    if (!root.empty()) folders.push_back(root + "/lib/python3*/site-packages");
  }
  const std::string home = setting("HOME");
  if (!home.empty()) folders.push_back(home + "/.local/lib/python3*/site-packages");
  folders.emplace_back("/usr/local/lib/python3*/*-packages");
  folders.emplace_back("/usr/lib/python3*/*-packages");
  return folders;
}

bool search(Library& library) {
  const Wanted& w = library.wanted;
  if (take(library, w.file, RTLD_NOLOAD)) return true;
  for (const std::string& folder : pythonFolders())
    if (takeMatch(library, folder + "/" + w.wheel + "/" + w.file)) return true;
  if (take(library, w.file)) return true;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const std::string root = setting(variable);
    if (!root.empty() && takeMatch(library, root + "/lib64/" + w.file)) return true;
  }
  return takeMatch(library, std::string("/usr/local/cuda/lib64/") + w.file);
}

}  // namespace

Library findLibrary(const Wanted& wanted) {
  Library library;
  library.wanted = wanted;
  const std::string named = setting(wanted.variable);
  if (named == "none") {
    library.reason = std::string(wanted.variable) + "=none";
  } else if (!named.empty()) {
    if (!take(library, named))
      library.reason = std::string(wanted.variable) + " names a file that cannot be opened: " + library.tried.back();
  } else if (setting("SECATEUR_CUDA_LIBRARIES") == "none") {
    library.reason = "SECATEUR_CUDA_LIBRARIES=none";
  } else if (!setting("SECATEUR_LIBCUDA").empty()) {
    // It would open the system's driver by itself.
    library.reason = std::string("SECATEUR_LIBCUDA names another driver, which it would not use; ") + wanted.variable +
                     " can name a file";
  } else if (!search(library)) {
    library.reason = std::string("not found. `pip install ") + wanted.package + "` installs it; " + wanted.variable +
                     " can name its file";
  }
  return library;
}

void* entryOf(Library& library, const char* symbol) {
  if (library.handle == nullptr) return nullptr;
  void* entry = dlsym(library.handle, symbol);
  if (entry == nullptr && library.reason.empty()) library.reason = library.path + " has no " + symbol;
  return entry;
}

std::string versionText(std::size_t number) {
  const std::size_t major = number < 10000 ? 1000 : 10000;
  return std::to_string(number / major) + "." + std::to_string(number % major / 100) + "." +
         std::to_string(number % 100);
}

void refuseVersion(Library& library, const std::string& needs) {
  library.reason = library.path + " is version " + library.version + "; needs " + needs;
}

}  // namespace secateur::cuda
