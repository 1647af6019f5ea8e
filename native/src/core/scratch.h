// Scratch memory of the executor thread: a bump allocator that is reset after every op and keeps what it has grown to.
#pragma once
#include <cstddef>

namespace secateur {

void scratchReset();
std::size_t scratchReserved();

}  // namespace secateur
