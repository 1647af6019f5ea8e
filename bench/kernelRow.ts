// A line of the kernel bench, and how it is printed.

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
  /** Whether it has instructions of the tensor cores: dense ones, or those that skip the zeros of a 2:4 weight. */
  readonly tensorCores: 'dense' | 'sparse' | null;
  readonly loadBits: number | null;
  readonly storeBits: number | null;
  /** Unique bytes of global memory read and written, and those read again after the L2 had lost them, an element. */
  readonly bytesPerElement: number | null;
  readonly floorBytes: number | null;
  /** floorBytes / bytesPerElement. */
  readonly share: number | null;
  readonly launches: number | null;
  /** Of one call on a GPU, at `scale` times the counted elements; the rates follow from it. */
  readonly microseconds: number | null;
  readonly scale: number | null;
  readonly gbPerSecond: number | null;
  readonly tflops: number | null;
  /** The library that does the same work beside it (for a 2:4 product: the dense one), and how it fares. */
  readonly vendor: string | null;
  readonly vendorMicroseconds: number | null;
  readonly vendorTflops: number | null;
}

/** A row of which nothing is known yet. */
export const absent = {
  bench: 'kernels',
  work: null,
  arch: null,
  registers: null,
  spillBytes: null,
  sharedBytes: null,
  occupancy: null,
  tensorCores: null,
  loadBits: null,
  storeBits: null,
  bytesPerElement: null,
  floorBytes: null,
  share: null,
  launches: null,
  microseconds: null,
  scale: null,
  gbPerSecond: null,
  tflops: null,
  vendor: null,
  vendorMicroseconds: null,
  vendorTflops: null,
} as const;

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
  ['cores', 6, (r) => r.tensorCores ?? '-'],
  ['load', 4, (r) => number(r.loadBits)],
  ['store', 5, (r) => number(r.storeBits)],
  ['B/elem', 7, (r) => number(r.bytesPerElement)],
  ['floor', 5, (r) => number(r.floorBytes)],
  ['share', 6, (r) => percent(r.share)],
  ['launches', 8, (r) => number(r.launches, 6)],
  ['us', 8, (r) => number(r.microseconds)],
  ['GB/s', 7, (r) => number(r.gbPerSecond)],
  ['TFLOP/s', 7, (r) => number(r.tflops)],
  ['vendor', 8, (r) => r.vendor ?? '-'],
  ['its us', 8, (r) => number(r.vendorMicroseconds)],
  ['its TF/s', 8, (r) => number(r.vendorTflops)],
];

export const kernelHeading = (): string => columns.map(([name, width]) => name.padEnd(width)).join(' ');

export function printKernelRow(row: KernelRow, json: boolean): void {
  console.log(
    json ? JSON.stringify(row) : columns.map(([, width, of]) => of(row).slice(0, width).padEnd(width)).join(' '),
  );
}
