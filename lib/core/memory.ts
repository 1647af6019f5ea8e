import { refuseCapture } from './capturing.js';
import { type Device, deviceCode } from './device.js';
import { SecateurError } from './errors.js';
import { type MemoryStats, guarded, native } from './native.js';
import { flushReleases } from './tensor.js';

/** Whether copies of weights are kept; read by whoever makes one. */
export const packing = { on: true };

/** The memory of a device (default: the CPU), in bytes. */
export const memory = {
  /**
   * Live, peak, cached and reserved bytes, the limit, bytes in copies of weights (`packed`, part of `live`) and how often
   * a weight was brought into another order (`reorders`), tensors alive (on all devices), allocations asked for and
   * passed on to the system.
   */
  stats(device: Device = 'cpu'): MemoryStats {
    flushReleases();
    return guarded(() => native.memoryStats(deviceCode(device)));
  },
  /** Starts `peak` again from what is live now. */
  resetPeak(device: Device = 'cpu'): void {
    flushReleases();
    guarded(() => native.resetPeak(deviceCode(device)));
  },
  /** Refuses (ERR_OOM) to hold more than this many bytes. Default: the machine's or the GPU's memory. */
  setLimit(bytes: number, device: Device = 'cpu'): void {
    guarded(() => native.setLimit(deviceCode(device), bytes));
  },
  /**
   * Whether weights that are used repeatedly may have copies (default: yes): in bf16 for autocast, and in the order in
   * which a kernel reads them. Each costs as much memory as the bf16 weight, is made anew after the weight was written,
   * and changes no result. Today only the CPU has them.
   */
  setPacking(on: boolean): void {
    packing.on = on;
    guarded(() => native.setPacking(deviceCode('cpu'), on));
  },
  /** Gives cached memory back to the system, where a whole segment of it (256 MiB on the CPU) or a small block is free. */
  emptyCache(device: Device = 'cpu'): void {
    refuseCapture('emptyCache', device);
    flushReleases();
    guarded(() => native.emptyCache(deviceCode(device)));
  },
};

/** Waits until a device (default: the CPU) has done everything asked of it. Throws what went wrong there. */
export function synchronize(device: Device = 'cpu'): void {
  refuseCapture('synchronize', device);
  guarded(() => native.sync(deviceCode(device)));
}

/** How many threads the CPU's kernels use, 1 to 1024. Default: OMP_NUM_THREADS, or every core. ERR_ARGUMENT for others. */
export function setNumThreads(n: number): void {
  if (!Number.isInteger(n) || n < 1 || n > 1024)
    throw new SecateurError('ERR_ARGUMENT', `setNumThreads: ${n} threads; needs a whole number from 1 to 1024.`);
  guarded(() => native.setThreads(n));
}
