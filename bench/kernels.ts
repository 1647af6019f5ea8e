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
import { type Work, work } from './kernelWork.js';
import { type KernelCode, builtKernels } from './machineCode.js';
import { occupancy } from './occupancy.js';

/** Null: not known, or it makes no sense here. */
export interface KernelRow {
  readonly bench: 'kernels';
  /** A kernel; or, where a piece of work needs several, what they do together. */
  readonly kernel: string;
  /** The piece of work in which it was counted. */
  readonly work: string | null;
  readonly arch: string | null;
  readonly registers: number | null;
  readonly spillBytes: number | null;
  /** Of a block: static, and what was asked for at launch. */
  readonly sharedBytes: number | null;
  readonly occupancy: number | null;
  readonly loadBits: number | null;
  readonly storeBits: number | null;
  /** Unique bytes of global memory read and written, an element. */
  readonly bytesPerElement: number | null;
  readonly floorBytes: number | null;
  /** floorBytes / bytesPerElement. */
  readonly share: number | null;
  readonly launches: number | null;
  readonly microseconds: number | null;
}

/** What the simulated GPU counted of one kernel. */
export interface Counted {
  readonly kernel: string;
  readonly launches: number;
  readonly threads: number;
  readonly sharedBytes: number;
  readonly uniqueRead: number;
  readonly uniqueWritten: number;
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
      ...settings,
    };
    callWorker(args, env);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
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

/** What one call does: two runs that differ by it, subtracted. */
export function countOneCall(args: readonly string[], settings: Readonly<Record<string, string>> = {}): Counted[] {
  const once = simulate([...args, '1'], settings);
  const twice = simulate([...args, '2'], settings);
  return [...twice.values()]
    .map((b) => {
      const a = once.get(b.kernel);
      return {
        ...b,
        launches: b.launches - (a?.launches ?? 0),
        uniqueRead: b.uniqueRead - (a?.uniqueRead ?? 0),
        uniqueWritten: b.uniqueWritten - (a?.uniqueWritten ?? 0),
      };
    })
    .filter((c) => c.launches > 0);
}

const absent = {
  bench: 'kernels',
  work: null,
  arch: null,
  registers: null,
  spillBytes: null,
  sharedBytes: null,
  occupancy: null,
  loadBits: null,
  storeBits: null,
  bytesPerElement: null,
  floorBytes: null,
  share: null,
  launches: null,
  microseconds: null,
} as const;

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
    loadBits: code.loadBits,
    storeBits: code.storeBits,
  };
}

const round = (x: number): number => Math.round(x * 1e4) / 1e4;

function workRows(one: Work, codes: readonly KernelCode[], onGpu: boolean): KernelRow[] {
  const counted = countOneCall([one.name]);
  const microseconds = onGpu
    ? (JSON.parse(callWorker([one.name, 'time'], {})) as { microseconds: number }).microseconds
    : null;
  const perElement = (c: Counted): number => (c.uniqueRead + c.uniqueWritten) / one.elements;
  const all = counted.reduce((sum, c) => sum + perElement(c), 0);
  const total = {
    bytesPerElement: round(all),
    floorBytes: one.floorBytes,
    share: round(one.floorBytes / all),
    microseconds,
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
  if (alone) return rows;
  const launches = counted.reduce((sum, c) => sum + c.launches, 0);
  return [...rows, { ...absent, kernel: counted.map((c) => c.kernel).join(' + '), work: one.name, ...total, launches }];
}

const models = ['resnet20', 'resnet18', 'resnet50'].flatMap((model) => ['dense', 'pdp'].map((mode) => [model, mode]));

export interface KernelBenchOptions {
  readonly filter: string;
  /** Only this architecture, as in `sm_90`. */
  readonly arch: string | undefined;
  /** A GPU is there: time the work too. */
  readonly onGpu: boolean;
}

/** Counted work first, then launches of whole steps, then every kernel that no work has shown. */
export function* benchKernels({ filter, arch, onGpu }: KernelBenchOptions): Generator<KernelRow> {
  const codes = builtKernels(join(packageRoot(), 'build')).filter((c) => arch === undefined || arch === `sm_${c.arch}`);
  const shown = new Set<string>();
  const wanted = (name: string): boolean => name.includes(filter);
  for (const one of work) {
    if (!wanted(one.name)) continue;
    for (const row of workRows(one, codes, onGpu)) {
      shown.add(row.kernel);
      yield row;
    }
  }
  for (const [model = '', mode = ''] of models) {
    const name = `step of ${model}, ${mode}`;
    if (!wanted(name)) continue;
    // Launches do not depend on what is computed: nothing needs to be.
    const counted = countOneCall(['step', model, mode], { SECATEUR_GPUSIM_EXECUTE: '0' });
    yield { ...absent, kernel: name, work: name, launches: counted.reduce((sum, c) => sum + c.launches, 0) };
  }
  for (const code of codes) if (!shown.has(code.kernel) && wanted(code.kernel)) yield staticRow(code, undefined);
}

const number = (x: number | null, digits = 4): string => (x === null ? '-' : String(Number(x.toPrecision(digits))));
const percent = (x: number | null): string => (x === null ? '-' : `${Math.round(x * 100)} %`);
const columns: readonly [string, number, (r: KernelRow) => string][] = [
  ['kernel', 34, (r) => r.kernel],
  ['work', 32, (r) => r.work ?? '-'],
  ['arch', 6, (r) => r.arch ?? '-'],
  ['regs', 4, (r) => number(r.registers)],
  ['spill', 5, (r) => number(r.spillBytes)],
  ['shared', 6, (r) => number(r.sharedBytes, 6)],
  ['occup.', 6, (r) => percent(r.occupancy)],
  ['load', 4, (r) => number(r.loadBits)],
  ['store', 5, (r) => number(r.storeBits)],
  ['B/elem', 7, (r) => number(r.bytesPerElement)],
  ['floor', 5, (r) => number(r.floorBytes)],
  ['share', 6, (r) => percent(r.share)],
  ['launches', 8, (r) => number(r.launches, 6)],
  ['us', 8, (r) => number(r.microseconds)],
];

export const kernelHeading = (): string => columns.map(([name, width]) => name.padEnd(width)).join(' ');

export function printKernelRow(row: KernelRow, json: boolean): void {
  console.log(
    json ? JSON.stringify(row) : columns.map(([, width, of]) => of(row).slice(0, width).padEnd(width)).join(' '),
  );
}
