// The GPU of the tests: a real one where SECATEUR_TEST_GPU=real says so, else the simulated one of test/native/gpusim.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/core/native.js';

const root = packageRoot();
const real = process.env['SECATEUR_TEST_GPU'] === 'real';
export const simulator = join(root, 'build-gpusim', 'libcuda.so.1');

/** Why there is no GPU to test on; false when there is one. */
export const noGpu: string | false = !existsSync(join(root, 'build/Release/libsecateur_cuda.so'))
  ? 'the build found no nvcc: there is no CUDA backend'
  : !real && !existsSync(simulator)
    ? 'the simulated GPU is not built: node scripts/build.mjs --gpusim'
    : false;

/** Why there is no simulated GPU, whose knobs a test turns; false when there is one. */
export const noSimulator: string | false = real ? 'needs the simulated GPU' : noGpu;

// Read when the GPU is opened, which is at its first use.
if (!real) process.env['SECATEUR_LIBCUDA'] ??= simulator;

export interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a module's text in a process of its own: what ends a device ends it for a process. `lib/` and `src/` are the built ones. */
export function inProcess(text: string, env: Readonly<Record<string, string>> = {}): Ended {
  const code = text.replaceAll(
    /(from|import) '(lib|src)\//g,
    (_, word: string, top: string) => `${word} '${join(root, 'dist', top)}/`,
  );
  const r = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    timeout: 300_000,
    env: { ...process.env, ...env },
  });
  return { status: r.status, signal: r.signal, out: r.stdout, err: r.stderr };
}
