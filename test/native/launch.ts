// Runs kernels of a test's own, PTX written by hand, on the simulated GPU: one launch a process.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../lib/core/native.js';

const root = packageRoot();

export interface Launched {
  /** The buffer as the kernel left it; empty after a fault. */
  readonly after: Buffer;
  /** What the driver, or the simulator, had to say; empty when all went well. */
  readonly complaint: string;
}

/** Launches `kernel`, of a file of PTX, on a copy of `buffer`, whose address is its one parameter. */
export function launch(
  file: string,
  kernel: string,
  buffer: Uint8Array,
  { blocks = 1, threads = 32, shared = 0, times = 1 } = {},
  settings: Readonly<Record<string, string>> = {},
): Launched {
  const { status, stdout, stderr, error } = spawnSync(
    join(root, 'build-gpusim/launch/launch'),
    [file, kernel, ...[blocks, threads, shared, times].map(String)],
    {
      input: buffer,
      maxBuffer: 1 << 28,
      env: { SECATEUR_LIBCUDA: join(root, 'build-gpusim/libcuda.so.1'), ...settings },
    },
  );
  if (error !== undefined) throw error;
  const complaint = status === 0 ? '' : String(stderr);
  if (status !== 0 && complaint === '') throw new Error(`launch ended with ${status}`);
  return { after: status === 0 ? stdout : Buffer.alloc(0), complaint };
}
