#pragma once

namespace secateur::cuda {

// What this machine offers, as JSON; see BackendTable::describe. The text stays valid until the next call.
const char* describe();

}  // namespace secateur::cuda
