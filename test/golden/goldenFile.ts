// A golden file: arrays in a safetensors file and the settings beside it in a JSON of the same name. Everything a check
// uses, shapes, keys and settings, is read through this; what was read is remembered, so that an array nobody looked at
// shows up as not covered.
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { SecateurError } from '../../lib/core/errors.js';
import { SafetensorsFile, toFloat64, toInt32 } from '../../lib/io/index.js';
import { type Shape, stridesOf } from '../../lib/core/shape.js';

/** Row-major values with their shape. */
export interface GoldenArray {
  readonly data: Float64Array;
  readonly shape: Shape;
}

const largestSettings = 1 << 24;
const tolerances = z.record(z.string(), z.number().nonnegative());
const toleranceSchema = z.object({ tolerance: z.object({ float64: tolerances, float32: tolerances }) });

function fault(path: string, what: string, cause?: unknown): SecateurError {
  return new SecateurError('ERR_DATA', `${path}: ${what}`, { path }, cause);
}

/** A setting that is not what a check needs, told in one line. */
export function checked<S extends z.ZodType>(path: string, schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const said = result.error.issues.slice(0, 4).map((i) => `${i.path.join('.') || 'settings'}: ${i.message}`);
  throw fault(path, said.join('; '));
}

function readSettings(path: string): Record<string, unknown> {
  let text: string;
  try {
    if (statSync(path).size > largestSettings) throw new Error(`more than ${largestSettings} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault(path, `cannot be read (${(cause as Error).message}).`, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fault(path, `is not JSON (${(cause as Error).message}).`, cause);
  }
  return checked(path, z.record(z.string(), z.unknown()), value);
}

/** Reorders axes: axis i of the result is axis `axes[i]` of the source. */
export function permuted({ data, shape }: GoldenArray, axes: readonly number[]): GoldenArray {
  const strides = stridesOf(shape);
  const to = axes.map((a) => shape[a] as number);
  const out = new Float64Array(data.length);
  const index = to.map(() => 0);
  for (let i = 0; i < out.length; i++) {
    let from = 0;
    for (let d = 0; d < axes.length; d++) from += (index[d] as number) * (strides[axes[d] as number] as number);
    out[i] = data[from] as number;
    for (let d = axes.length - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (to[d] as number)) break;
      index[d] = 0;
    }
  }
  return { data: out, shape: to };
}

/** From PyTorch's order, channels second, to ours, channels last: `[N, C, H, W]` to `[N, H, W, C]`, OIHW to OHWI. */
export function channelsLast(a: GoldenArray): GoldenArray {
  const inner = a.shape.slice(2).map((_, i) => i + 2);
  return a.shape.length < 3 ? a : permuted(a, [0, ...inner, 1]);
}

/** The way back. */
export function channelsSecond(a: GoldenArray): GoldenArray {
  const rank = a.shape.length;
  const inner = a.shape.slice(2).map((_, i) => i + 1);
  return rank < 3 ? a : permuted(a, [0, rank - 1, ...inner]);
}

/** The part of a key that names its group: `conv2d` of `conv2d/0/x`. */
export function groupOf(key: string): string {
  return key.split('/')[0] as string;
}

export class GoldenFile {
  readonly path: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly #arrays: SafetensorsFile;
  readonly #touched = new Set<string>();

  private constructor(path: string, settings: Record<string, unknown>, arrays: SafetensorsFile) {
    this.path = path;
    this.settings = settings;
    this.#arrays = arrays;
  }

  /**
   * Opens `<path>.safetensors` and `<path>.json`.
   *
   * @throws ERR_CHECKPOINT, ERR_IO, ERR_DATA naming the file and the trouble
   */
  static open(path: string): GoldenFile {
    const settings = readSettings(`${path}.json`);
    return new GoldenFile(path, settings, SafetensorsFile.open(`${path}.safetensors`));
  }

  /** What it is about: the model, method or set it names, else its own name. */
  get subject(): string {
    const names = ['model', 'method', 'file'].map((k) => this.settings[k]);
    return names.find((n): n is string => typeof n === 'string') ?? basename(this.path);
  }

  /** One block of the settings, checked. */
  section<S extends z.ZodType>(name: string, schema: S): z.infer<S> {
    return checked(`${this.path}.json: ${name}`, schema, this.settings[name]);
  }

  /** The cases of a block, checked; each has its `key`. */
  cases<S extends z.ZodRawShape>(name: string, shape: S): (z.infer<z.ZodObject<S>> & { key: string })[] {
    const schema = z.object({ cases: z.array(z.object({ ...shape, key: z.string() })) });
    return this.section(name, schema).cases as (z.infer<z.ZodObject<S>> & { key: string })[];
  }

  /** The allowed difference of an array, by the longest prefix of its key that the file lists. */
  tolerance(key: string, precision: 'float64' | 'float32'): number {
    const { tolerance } = checked(`${this.path}.json`, toleranceSchema, this.settings);
    const prefixes = Object.keys(tolerance[precision]).filter((p) => key.startsWith(p));
    const longest = prefixes.sort((a, b) => b.length - a.length)[0];
    if (longest === undefined) throw fault(`${this.path}.json`, `no ${precision} tolerance applies to ${key}.`);
    return tolerance[precision][longest] as number;
  }

  has(key: string): boolean {
    return this.#arrays.has(key);
  }

  keys(prefix = ''): string[] {
    return this.#arrays.keys().filter((k) => k.startsWith(prefix));
  }

  array(key: string): GoldenArray {
    this.#touched.add(key);
    return { data: toFloat64(this.#arrays.array(key), key), shape: this.#arrays.info(key).shape };
  }

  integers(key: string): Int32Array {
    this.#touched.add(key);
    return toInt32(this.#arrays.array(key), key);
  }

  /** The arrays as they lie in the file, for `fromFile`; `prefix` is taken off their names. */
  source(prefix: string): { keys(): string[]; array(name: string): ReturnType<SafetensorsFile['array']> } {
    return {
      keys: () => this.keys(prefix).map((k) => k.slice(prefix.length)),
      array: (name) => this.#arrays.array(prefix + name),
    };
  }

  /** Whether an array holds whole numbers: those must be met exactly. */
  isWhole(key: string): boolean {
    return this.#arrays.info(key).dtype.startsWith('I');
  }

  /** The groups with something to check: those that hold more than inputs, which are float32. */
  groups(): string[] {
    const inputs = ['toy', 'state', 'input'];
    const results = this.keys().filter((k) => this.#arrays.info(k).dtype !== 'F32' && !inputs.includes(groupOf(k)));
    return [...new Set(results.map(groupOf))];
  }

  /** Results of a group that nothing has looked at since the file was opened. */
  untouched(group: string): string[] {
    return this.keys(`${group}/`).filter((k) => !this.#touched.has(k) && this.#arrays.info(k).dtype !== 'F32');
  }

  close(): void {
    this.#arrays.close();
  }
}
