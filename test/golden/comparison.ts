// Differences between what was computed and what a golden file says, gathered by group.
import { SecateurError } from '../../lib/core/errors.js';
import { tensor } from '../../lib/core/create.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { type GoldenArray, type GoldenFile, groupOf } from './goldenFile.js';

export type GoldenDevice = 'ref' | 'cpu';
export type Verdict = 'ok' | 'off' | 'not covered';

/** One line of the result: a group of arrays of a file on a device. */
export interface Row {
  readonly file: string;
  readonly group: string;
  /** The difference that is largest against its tolerance; null when nothing was compared. */
  readonly difference: number | null;
  readonly tolerance: number | null;
  readonly verdict: Verdict;
  readonly device: GoldenDevice;
  /** The arrays that are off. */
  readonly off: readonly string[];
  /** What went wrong, or what is missing. */
  readonly note?: string;
}

/** The difference of one array. */
interface Found {
  readonly difference: number;
  readonly tolerance: number;
}

/** Changes of axis order and the like, applied before a tensor's values are compared. */
export type Reorder = (a: GoldenArray) => GoldenArray;

/** How far over its tolerance a difference is: above 1 is off. */
function excess({ difference, tolerance }: Found): number {
  return difference === 0 ? 0 : difference / tolerance;
}

/** The largest absolute difference. A NaN must meet a NaN, an infinity the same infinity. */
function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const [x, y] = [actual[i] as number, expected[i] as number];
    if (Object.is(x, y) || x === y) continue;
    const d = Math.abs(x - y);
    largest = Number.isNaN(d) ? Infinity : Math.max(largest, d);
    if (largest === Infinity) break;
  }
  return largest;
}

export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const x = Math.abs(values[i] as number);
    if (x > largest && x !== Infinity) largest = x;
  }
  return largest;
}

/** `max |x - y| / max |y|`; `scale` stands in where the largest |y| is less, and 1 where both are 0. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, scale = 0): number {
  return largestDifference(actual, expected) / (Math.max(largestMagnitude(expected), scale) || 1);
}

/** One file on one device: gives checks their inputs as tensors there, and takes their results. */
export class Comparison {
  readonly file: GoldenFile;
  readonly device: GoldenDevice;
  readonly #found = new Map<string, Found>();

  constructor(file: GoldenFile, device: GoldenDevice) {
    this.file = file;
    this.device = device;
  }

  /** An input array as a tensor. */
  input(key: string, reorder: Reorder = (a) => a): Tensor<'f32'> {
    const { data, shape } = reorder(this.file.array(key));
    return tensor(data, { shape, dtype: 'f32', device: this.device });
  }

  /** An input array as a tensor that gets a gradient. */
  leaf(key: string, reorder?: Reorder): Tensor<'f32'> {
    const t = this.input(key, reorder);
    t.requiresGrad = true;
    return t;
  }

  /** Whole numbers: class indices, row numbers; with `u8` a mask. */
  whole(key: string, dtype: 'i32' | 'u8' = 'i32'): Tensor {
    const { shape } = this.file.array(key);
    return tensor(this.file.integers(key), { shape, dtype, device: this.device });
  }

  /** Compares by `relativeError`; whole numbers must be the same. */
  close(key: string, actual: ArrayLike<number>, scale = 0): void {
    if (this.file.isWhole(key)) return this.equal(key, actual);
    const expected = this.file.array(key).data;
    this.#sameLength(key, actual, expected);
    const tolerance = this.file.tolerance(key, this.device === 'ref' ? 'float64' : 'float32');
    this.#note(key, { tolerance, difference: relativeError(actual, expected, scale) });
  }

  /** For masks, counts and whole numbers: every entry must be the same. */
  equal(key: string, actual: ArrayLike<number>): void {
    const expected = this.file.array(key).data;
    this.#sameLength(key, actual, expected);
    this.#note(key, { tolerance: 0, difference: largestDifference(actual, expected) });
  }

  /** Compares a tensor's values, and its shape. A gradient that is missing is a difference. */
  tensor(key: string, t: Tensor | undefined, reorder: Reorder = (a) => a): void {
    if (t === undefined) throw new SecateurError('ERR_NO_GRADIENT', `${key}: nothing was computed for it.`, { key });
    const { data, shape } = reorder({ data: t.doubles(), shape: t.shape });
    const wanted = this.file.array(key).shape;
    if (wanted.length !== shape.length || wanted.some((d, i) => d !== shape[i])) {
      throw new SecateurError(
        'ERR_SHAPE_MISMATCH',
        `${key} is [${wanted.join(', ')}], computed [${shape.join(', ')}].`,
      );
    }
    this.close(key, data);
  }

  #sameLength(key: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    if (actual.length === expected.length) return;
    const message = `${key} has ${expected.length} entries, computed ${actual.length}.`;
    throw new SecateurError('ERR_SHAPE_MISMATCH', message, { key });
  }

  // An array compared twice keeps the worse result.
  #note(key: string, found: Found): void {
    const before = this.#found.get(key);
    if (before === undefined || excess(found) > excess(before)) this.#found.set(key, found);
  }

  /** The line of a group; `fault` is what stopped its check. */
  row(file: string, group: string, fault?: string): Row {
    const found = [...this.#found].filter(([key]) => groupOf(key) === group);
    const worst = found.map(([, f]) => f).sort((a, b) => excess(b) - excess(a) || b.tolerance - a.tolerance)[0];
    const off = found.filter(([, f]) => excess(f) > 1).map(([key]) => key);
    const numbers = { difference: worst?.difference ?? null, tolerance: worst?.tolerance ?? null };
    const row = { file, group, device: this.device, off, ...numbers };
    if (fault !== undefined) return { ...row, verdict: 'off', note: fault };
    if (off.length > 0) return { ...row, verdict: 'off', note: firstOf(off) };
    if (worst === undefined) return { ...row, verdict: 'not covered' };
    const left = this.file.untouched(group);
    if (left.length === 0) return { ...row, verdict: 'ok' };
    return { ...row, verdict: 'not covered', note: `no check for ${firstOf(left)}` };
  }
}

function firstOf(keys: readonly string[]): string {
  const shown = 3;
  return keys.slice(0, shown).join(', ') + (keys.length > shown ? ` and ${keys.length - shown} more` : '');
}
