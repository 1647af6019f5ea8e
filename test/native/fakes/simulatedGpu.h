// The simulated GPU, as a library in its process sees it: through the driver's entry points.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/view.h"

namespace fakes {

// Whether the bytes lie in one piece of device memory.
bool onDevice(const void* data, std::size_t bytes);
// Queues work on a stream, or records it when the stream is being captured.
bool queue(void* stream, std::function<void()> work);

// One element of device memory as a float; only inside queued work.
float load(const void* data, bool bf16, std::int64_t at);
void store(void* data, bool bf16, std::int64_t at, float value);

}  // namespace fakes
