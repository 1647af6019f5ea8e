// The kernels of the CUDA backend: what their machine code says (registers, spills, widths of memory accesses), how full
// they make a multiprocessor, and how many bytes an element they move against how many they must. With no GPU the bytes
// are counted on the simulated one; with a GPU the same calls are timed as well.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SecateurError } from '../lib/core/errors.js';
import { packageRoot } from '../lib/core/native.js';
import type { Work } from './callWork.js';
import { type KernelRow, absent } from './kernelRow.js';
import { work } from './kernelWork.js';
import { type KernelCode, builtKernels } from './machineCode.js';
import { occupancy } from './occupancy.js';

/** What the simulated GPU counted of one kernel. */
export interface Counted {
  readonly kernel: string;
  readonly launches: number;
  readonly threads: number;
  readonly sharedBytes: number;
  readonly uniqueRead: number;
  readonly uniqueWritten: number;
  readonly refetched: number;
}

const simulator = join(packageRoot(), 'build-gpusim/libcuda.so.1');
const worker = join(dirname(fileURLToPath(import.meta.url)), 'kernelWorker.js');

/** Runs the worker on the simulated GPU and gives what its kernels did, by name. */
function simulate(args: readonly string[], settings: Readonly<Record<string, string>>): Map<string, Counted> {
  if (!existsSync(simulator))
    throw new SecateurError(
      'ERR_CUDA_UNAVAILABLE',
      `the simulated GPU is not built (${simulator}). Build it: node scripts/build.mjs --gpusim.`,
    );
  const folder = mkdtempSync(join(tmpdir(), 'secateur-kernels-'));
  try {
    const file = join(folder, 'counters');
    const env = {
      SECATEUR_LIBCUDA: simulator,
      SECATEUR_GPUSIM_COUNTERS: file,
      SECATEUR_GPUSIM_RACES: '0',
      SECATEUR_CUDA_LIBRARIES: 'none',
      ...settings,
    };
    callWorker(args, env);
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
    return new Map(lines.map((line) => JSON.parse(line) as Counted).map((c) => [c.kernel, c]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function callWorker(args: readonly string[], env: Readonly<Record<string, string>>): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [worker, ...args], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new SecateurError('ERR_CUDA', `bench: ${args.join(' ')}: ${stderr.slice(-800)}`);
  return stdout;
}

/** What the call after the first `earlier` ones does: two runs that differ by it, subtracted. */
function countOneCall(args: readonly string[], earlier: number, settings: Readonly<Record<string, string>>): Counted[] {
  const without = simulate([...args, String(earlier)], settings);
  const withIt = simulate([...args, String(earlier + 1)], settings);
  return [...withIt.values()]
    .map((b) => {
      const a = without.get(b.kernel);
      return {
        ...b,
        launches: b.launches - (a?.launches ?? 0),
        uniqueRead: b.uniqueRead - (a?.uniqueRead ?? 0),
        uniqueWritten: b.uniqueWritten - (a?.uniqueWritten ?? 0),
        refetched: b.refetched - (a?.refetched ?? 0),
      };
    })
    .filter((c) => c.launches > 0);
}

/** Bytes that a kernel moved between memory and the L2. */
export const bytesMoved = (c: Counted): number => c.uniqueRead + c.uniqueWritten + c.refetched;

// An A100's.
const usualCache = 40 << 20;

/** What one call of a piece of work does. */
export const countWork = (one: Work): Counted[] =>
  countOneCall([one.name], 0, { SECATEUR_GPUSIM_CACHE: String(one.cacheBytes ?? usualCache) });

const ordinaryThreads = 256;

function staticRow(code: KernelCode, counted: Counted | undefined): KernelRow {
  const sharedBytes = code.sharedBytes + (counted?.sharedBytes ?? 0);
  const threads = counted?.threads ?? ordinaryThreads;
  return {
    ...absent,
    kernel: code.kernel,
    arch: `sm_${code.arch}`,
    registers: code.registers,
    spillBytes: code.spillBytes,
    sharedBytes,
    occupancy: occupancy(code.arch, { threads, registers: code.registers, sharedBytes }),
    tensorCores: code.counts.sparseTensor > 0 ? 'sparse' : code.counts.tensor > 0 ? 'dense' : null,
    loadBits: code.loadBits,
    storeBits: code.storeBits,
  };
}

const round = (x: number): number => Math.round(x * 1e4) / 1e4;
const rate = (x: number): number => Number(x.toPrecision(5));

/** On a GPU: at what scale work is timed there, how often, and the libraries that are there. */
export interface Timing {
  /** The GPU's architecture, as in `sm_90`. */
  readonly arch: string;
  readonly scale: number;
  readonly rounds: number;
  readonly libraries: readonly string[];
}

type Timed = Pick<
  KernelRow,
  'microseconds' | 'scale' | 'gbPerSecond' | 'tflops' | 'vendor' | 'vendorMicroseconds' | 'vendorTflops'
>;

function timeWork(one: Work, bytesPerElement: number, timing: Timing): Timed {
  const { scale, rounds, libraries } = timing;
  const time = (how: string, env: Readonly<Record<string, string>>): number =>
    (JSON.parse(callWorker([one.name, how, String(scale), String(rounds)], env)) as { microseconds: number })
      .microseconds;
  const elements = scale * one.elements;
  const { flops, peer } = one;
  const tflops = (us: number): number | null => (flops === undefined ? null : rate((flops * elements) / us / 1e6));
  const microseconds = time('time', { SECATEUR_CUDA_LIBRARIES: 'none' });
  const own = {
    microseconds: rate(microseconds),
    scale,
    // A product's weight weighs less at a larger scale.
    gbPerSecond: flops === undefined ? rate((bytesPerElement * elements) / microseconds / 1e3) : null,
    tflops: tflops(microseconds),
  };
  if (peer === undefined || !libraries.includes(peer.library))
    return { ...own, vendor: null, vendorMicroseconds: null, vendorTflops: null };
  const vendorMicroseconds = time('peer', {});
  return {
    ...own,
    vendor: peer.library,
    vendorMicroseconds: rate(vendorMicroseconds),
    vendorTflops: tflops(vendorMicroseconds),
  };
}

function workRows(one: Work, codes: readonly KernelCode[], timing: Timing | undefined): KernelRow[] {
  const counted = countWork(one);
  const perElement = (c: Counted): number => bytesMoved(c) / one.elements;
  const all = counted.reduce((sum, c) => sum + perElement(c), 0);
  const total = {
    bytesPerElement: round(all),
    floorBytes: round(one.floorBytes),
    share: round(one.floorBytes / all),
  };
  const alone = counted.length === 1;
  const rows = counted.flatMap((c) =>
    codes
      .filter((code) => code.kernel === c.kernel)
      .map((code) => ({
        ...staticRow(code, c),
        work: one.name,
        bytesPerElement: round(perElement(c)),
        launches: c.launches,
        ...(alone ? total : {}),
      })),
  );
  if (alone && timing === undefined) return rows;
  const launches = counted.reduce((sum, c) => sum + c.launches, 0);
  const kernel = counted.map((c) => c.kernel).join(' + ');
  const timed = timing === undefined ? {} : { arch: timing.arch, ...timeWork(one, all, timing) };
  return [...rows, { ...absent, kernel, work: one.name, ...total, launches, ...timed }];
}

const models = ['resnet20', 'resnet18', 'resnet50'].flatMap((model) => ['dense', 'pdp'].map((mode) => [model, mode]));

export interface KernelBenchOptions {
  readonly filter: string;
  /** Only this architecture, as in `sm_90`. */
  readonly arch: string | undefined;
  /** A GPU is there: time the work on it too. */
  readonly timing: Timing | undefined;
}

/** Counted work first, then launches of whole steps, then every kernel that no work has shown. */
export function* benchKernels({ filter, arch, timing }: KernelBenchOptions): Generator<KernelRow> {
  const codes = builtKernels(join(packageRoot(), 'build')).filter((c) => arch === undefined || arch === `sm_${c.arch}`);
  const shown = new Set<string>();
  const wanted = (name: string): boolean => name.includes(filter);
  for (const one of work) {
    if (!wanted(one.name)) continue;
    for (const row of workRows(one, codes, timing)) {
      shown.add(row.kernel);
      yield row;
    }
  }
  for (const [model = '', mode = ''] of models) {
    const name = `step of ${model}, ${mode}`;
    if (!wanted(name)) continue;
    // Launches do not depend on what is computed: nothing needs to be. The first step also makes what the optimizer keeps.
    const counted = countOneCall(['step', model, mode], 1, { SECATEUR_GPUSIM_EXECUTE: '0' });
    yield { ...absent, kernel: name, work: name, launches: counted.reduce((sum, c) => sum + c.launches, 0) };
  }
  for (const code of codes) if (!shown.has(code.kernel) && wanted(code.kernel)) yield staticRow(code, undefined);
}
