/** One line of a bench. Null: not measured, or it makes no sense here. */
export interface Row {
  readonly bench: 'ops' | 'steps' | 'import';
  readonly name: string;
  readonly dtype: string;
  readonly mode: string;
  readonly batch: number | null;
  /** Median. */
  readonly ms: number;
  /** What `value` and `limit` are in: GB/s, GFLOP/s, samples/s, us, ms. */
  readonly unit: string;
  readonly value: number;
  /** The machine's own limit in that unit, measured in the same run. */
  readonly limit: number | null;
  readonly share: number | null;
  readonly peer: string | null;
  readonly peerMs: number | null;
  /** peerMs / ms: above 1 we are faster. */
  readonly ratio: number | null;
  /** Growth of resident memory over the steps, each side in a process of its own. */
  readonly peakBytes: number | null;
  readonly peerPeakBytes: number | null;
  /** How often a weight was brought into another order, a call or step. */
  readonly reorders: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const mid = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[mid] as number)
    : ((sorted[mid - 1] as number) + (sorted[mid] as number)) / 2;
}

const short = (x: number | null, digits = 3): string =>
  x === null ? '-' : Number(x.toPrecision(digits)).toLocaleString('en', { maximumFractionDigits: 3 });
const share = (x: number | null): string => (x === null ? '-' : `${Math.round(x * 100)} %`);
const mib = (x: number | null): string => (x === null ? '-' : `${Math.round(x / 2 ** 20)} MiB`);

const columns: readonly [string, number, (r: Row) => string][] = [
  ['name', 26, (r) => r.name],
  ['dtype', 6, (r) => r.dtype],
  ['mode', 30, (r) => r.mode],
  ['ms', 10, (r) => short(r.ms)],
  ['value', 10, (r) => short(r.value)],
  ['unit', 10, (r) => r.unit],
  ['limit', 9, (r) => short(r.limit)],
  ['share', 7, (r) => share(r.share)],
  ['peer ms', 9, (r) => short(r.peerMs)],
  ['ratio', 7, (r) => short(r.ratio)],
  ['peak', 10, (r) => mib(r.peakBytes)],
  ['peer peak', 10, (r) => mib(r.peerPeakBytes)],
  ['reorders', 9, (r) => short(r.reorders)],
];

export const heading = (): string => columns.map(([name, width]) => name.padEnd(width)).join(' ');

export function printRow(row: Row, json: boolean): void {
  console.log(
    json ? JSON.stringify(row) : columns.map(([, width, of]) => of(row).slice(0, width).padEnd(width)).join(' '),
  );
}
