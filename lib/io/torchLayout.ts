// The border between our axis order and the one files use. Each parameter says how its axes lie in a file; nothing is
// guessed from a rank.
import { SecateurError } from '../core/errors.js';
import { tensor } from '../core/create.js';
import type { Device } from '../core/device.js';
import { type Shape, stridesOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type RawArray, rawArrayOf, toFloat32, toFloat64, toInt32 } from './rawArray.js';

/** A tensor of a module's state, with the order its axes have in a file. */
export interface FileTensor {
  readonly name: string;
  readonly tensor: Tensor & { readonly fileAxes?: readonly number[] | undefined };
}

/** Reorders row-major values: axis i of the result is axis `axes[i]` of the source. */
function reorder<A extends Float32Array | Float64Array>(values: A, shape: Shape, axes: readonly number[]): A {
  const strides = stridesOf(shape);
  const dims = axes.map((a) => shape[a] as number);
  const steps = axes.map((a) => strides[a] as number);
  const out = new (values.constructor as new (n: number) => A)(values.length);
  const index = new Array<number>(dims.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = values[from] as number;
    for (let d = dims.length - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      from += steps[d] as number;
      if ((index[d] as number) < (dims[d] as number)) break;
      from -= (steps[d] as number) * (dims[d] as number);
      index[d] = 0;
    }
  }
  return out;
}

function inverse(axes: readonly number[]): number[] {
  const out = new Array<number>(axes.length);
  axes.forEach((a, i) => (out[a] = i));
  return out;
}

/** The state as arrays in file order: conv weights become `[O, I, kh, kw]`. */
export function toFile(state: Iterable<FileTensor>): [string, RawArray][] {
  return [...state].map(({ name, tensor: t }) => {
    const values = t.data();
    if (t.fileAxes === undefined || !(values instanceof Float32Array)) return [name, rawArrayOf(values, t.shape)];
    const shape = t.fileAxes.map((a) => t.shape[a] as number);
    return [name, rawArrayOf(reorder(values, t.shape, t.fileAxes), shape)];
  });
}

/** Where `fromFile` finds an array. */
export interface ArraySource {
  keys(): readonly string[];
  array(name: string): RawArray;
}

/**
 * Reads the arrays of a state dict in file order as tensors in ours, ready for `loadStateDict`. Names the state does
 * not have come along as they are, so that `loadStateDict` can report them.
 *
 * @throws ERR_CHECKPOINT for an array of another rank than its parameter
 */
export function fromFile(
  source: ArraySource,
  state: Iterable<FileTensor>,
  device: Device = 'cpu',
): Map<string, Tensor> {
  const own = new Map([...state].map(({ name, tensor: t }) => [name, t]));
  return new Map(
    source.keys().map((name) => {
      const raw = source.array(name);
      const axes = own.get(name)?.fileAxes;
      const whole = own.get(name)?.dtype === 'i32' || raw.dtype.startsWith('I') || raw.dtype.startsWith('U');
      if (whole) return [name, tensor(toInt32(raw, name), { shape: raw.shape, device })];
      const values = device === 'ref' ? toFloat64(raw, name) : toFloat32(raw, name);
      if (axes === undefined) return [name, tensor(values, { shape: raw.shape, device })];
      if (raw.shape.length !== axes.length) {
        throw new SecateurError(
          'ERR_CHECKPOINT',
          `${name} has ${raw.shape.length} axes in the file; the model's has ${axes.length}.`,
          { name, shape: raw.shape },
        );
      }
      const back = inverse(axes);
      const shape = back.map((a) => raw.shape[a] as number);
      return [name, tensor(reorder(values, raw.shape, back), { shape, device })];
    }),
  );
}
