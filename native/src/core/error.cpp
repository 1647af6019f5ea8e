#include "core/error.h"

namespace secateur {

void fail(const char* message) { throw Error("ERR_KERNEL", message); }

}  // namespace secateur
