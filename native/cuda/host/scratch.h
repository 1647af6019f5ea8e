#pragma once

namespace secateur::cuda {

// Called after every op: its scratch memory may be used by the next one, which follows it on the stream.
void scratchReset();

}  // namespace secateur::cuda
