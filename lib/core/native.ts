import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, SecateurError } from './errors.js';

/** What the addon keeps of a device's memory, in bytes. */
export interface MemoryStats {
  live: number;
  peak: number;
  cached: number;
  reserved: number;
  limit: number;
  packed: number;
  reorders: number;
  tensors: number;
  allocations: number;
  systemAllocations: number;
}

export interface NativeInfo {
  isa: string;
  isas: string[];
  threads: number;
  onednn: string;
  openmp: number;
  compiler: string;
  sync: boolean;
}

/**
 * The addon's entry points. Arguments of `run`, `view` and `release` travel in `block`, one preallocated array of
 * doubles that both sides see: a call costs no option object, no string and no fresh array.
 */
export interface Native {
  block: Float64Array;
  run(op: number, device: number): void;
  view(handle: number, offset: number): number;
  release(count: number): void;
  upload(data: ArrayBufferView, dtype: number, dataDtype: number, device: number): number;
  write(handle: number, data: ArrayBufferView, dataDtype: number): void;
  download(handle: number, into: ArrayBufferView, dataDtype: number): void;
  sync(device: number): void;
  /** The process ends: waits for everything queued on every device, and throws nothing. What comes later runs at once. */
  finish(): void;
  flush(device: number): Promise<void>;
  ops(): string[];
  kernels(): { op: string; isa: string; dtypes: number }[];
  /** The same for the CUDA backend: needs its library, but no GPU. */
  cudaKernels(): { op: string; isa: string; dtypes: number }[];
  /** Opens the GPU, or throws ERR_CUDA_UNAVAILABLE with the reason. */
  cudaOpen(): void;
  /** What the CUDA backend found on this machine, as JSON. */
  cudaDescribe(): string;
  captureBegin(): number;
  captureEnd(): number;
  replay(capture: number, values: number): void;
  captureRelease(capture: number): void;
  memoryStats(device: number): MemoryStats;
  resetPeak(device: number): void;
  setLimit(device: number, bytes: number): void;
  setPacking(device: number, on: boolean): void;
  emptyCache(device: number): void;
  setThreads(n: number): void;
  info(): NativeInfo;
}

/** The folder that holds package.json: the compiled file may lie at dist/lib/core. */
export function packageRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const up = dirname(dir);
    if (up === dir) throw new SecateurError('ERR_NATIVE_LOAD', 'the folder of the package secateur was not found.');
    dir = up;
  }
  return dir;
}

function load(): Native {
  // libgomp reads these once, when it is loaded. Bound threads start a parallel region in 60 us where unbound ones
  // can take milliseconds after an idle spell.
  process.env['OMP_PROC_BIND'] ??= 'true';
  const path = process.env['SECATEUR_ADDON'] ?? join(packageRoot(), 'build', 'Release', 'secateur.node');
  if (!existsSync(path)) {
    throw new SecateurError(
      'ERR_NATIVE_LOAD',
      `the native part is not built (${path} is missing). Build it with: npm rebuild secateur (in a checkout: npm run build).`,
      { path },
    );
  }
  try {
    const addon = createRequire(import.meta.url)(path) as Native;
    // When a process ends, libraries are taken down while kernels that are still queued would use them. Handlers that
    // run after this one may compute.
    process.once('exit', () => addon.finish());
    return addon;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SecateurError(
      'ERR_NATIVE_LOAD',
      `${path} did not load: ${why}. If a library is missing: apt-get install libdnnl-dev libgomp1; else rebuild with: npm rebuild secateur.`,
      { path },
      cause,
    );
  }
}

/** The addon, loaded at its first use: `import` stays fast, and what is wrong with the build can still be reported. */
export let native: Native = Object.defineProperties(
  {} as Native,
  Object.fromEntries(
    [
      'block',
      'run',
      'view',
      'release',
      'upload',
      'write',
      'download',
      'sync',
      'finish',
      'flush',
      'ops',
      'kernels',
      'cudaKernels',
      'cudaOpen',
      'cudaDescribe',
      'captureBegin',
      'captureEnd',
      'replay',
      'captureRelease',
      'memoryStats',
      'resetPeak',
      'setLimit',
      'setPacking',
      'emptyCache',
      'setThreads',
      'info',
    ].map((name) => [name, { get: (): unknown => Reflect.get((native = load()), name) }]),
  ),
);

/** Gives errors of the addon (plain `Error` with a code) their type. */
export function asSecateurError(error: unknown): unknown {
  if (error instanceof SecateurError || !(error instanceof Error)) return error;
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string' || !code.startsWith('ERR_')) return error;
  const { message, code: _code, ...data } = { ...error, message: error.message } as Record<string, unknown>;
  return new SecateurError(code as ErrorCode, String(message), data, error);
}

/** Calls the addon, turning what it throws into SecateurErrors. */
export function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asSecateurError(error);
  }
}
