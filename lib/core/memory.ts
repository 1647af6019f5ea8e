import { type MemoryStats, guarded, native } from './native.js';
import { flushReleases } from './tensor.js';

/** The memory of the device, in bytes. */
export const memory = {
  /** Live, peak, cached and reserved bytes, the limit, tensors alive, allocations asked for and passed on to the system. */
  stats(): MemoryStats {
    flushReleases();
    return native.memoryStats();
  },
  /** Starts `peak` again from what is live now. */
  resetPeak(): void {
    flushReleases();
    native.resetPeak();
  },
  /** Refuses (ERR_OOM) to hold more than this many bytes. Default: the machine's memory. */
  setLimit(bytes: number): void {
    guarded(() => native.setLimit(bytes));
  },
  /** Gives cached blocks back to the system. */
  emptyCache(): void {
    flushReleases();
    guarded(() => native.emptyCache());
  },
};

/** Waits until the device has done everything asked of it. Throws what went wrong there. */
export function synchronize(): void {
  guarded(() => native.sync());
}

/** How many threads the CPU's kernels use. Default: OMP_NUM_THREADS, or every core. */
export function setNumThreads(n: number): void {
  guarded(() => native.setThreads(n));
}
