#include "counters.h"

#include <algorithm>
#include <sstream>

namespace gpusim {

void Counters::add(const Counters& o) {
  launches += o.launches;
  threads = std::max(threads, o.threads);
  sharedBytes = std::max(sharedBytes, o.sharedBytes);
  bytesRead += o.bytesRead;
  bytesWritten += o.bytesWritten;
  uniqueRead += o.uniqueRead;
  uniqueWritten += o.uniqueWritten;
  refetched += o.refetched;
  sectorsRead += o.sectorsRead;
  sectorsWritten += o.sectorsWritten;
  atomics += o.atomics;
  for (int i = 0; i < 8; i++) instructions[i] += o.instructions[i];
}

std::string Counters::json() const {
  static const char* classes[] = {"integer", "floating", "conversion", "special",
                                  "memory",  "control",  "warp",       "tensor"};
  std::ostringstream out;
  out << "\"launches\":" << launches << ",\"threads\":" << threads << ",\"sharedBytes\":" << sharedBytes
      << ",\"bytesRead\":" << bytesRead << ",\"bytesWritten\":" << bytesWritten << ",\"uniqueRead\":" << uniqueRead
      << ",\"uniqueWritten\":" << uniqueWritten << ",\"refetched\":" << refetched << ",\"sectorsRead\":" << sectorsRead
      << ",\"sectorsWritten\":" << sectorsWritten << ",\"atomics\":" << atomics << ",\"instructions\":{";
  for (int i = 0; i < 8; i++) out << (i > 0 ? "," : "") << '"' << classes[i] << "\":" << instructions[i];
  out << "}";
  return out.str();
}

std::map<std::string, Counters>& countersByKernel() {
  // Written out while the process ends, when a plain static object may be gone.
  static auto* const all = new std::map<std::string, Counters>();
  return *all;
}

}  // namespace gpusim
