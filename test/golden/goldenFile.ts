// One of the golden files: its settings and its arrays, as tensors of any device.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tensor } from '../../lib/core/create.js';
import type { Device } from '../../lib/core/device.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { toFloat64 } from '../../lib/io/rawArray.js';
import { SafetensorsFile } from '../../lib/io/safetensors.js';
import { root } from '../house/tree.js';

export interface GoldenFile<S> {
  readonly settings: S;
  has(key: string): boolean;
  values(key: string): Float64Array;
  shape(key: string): readonly number[];
  /** A leaf holding the array in float32 (exact for the inputs; on `ref` the doubles themselves). */
  place(key: string, device: Device, requiresGrad?: boolean): Tensor<'f32'>;
}

export function openGolden<S>(name: string): GoldenFile<S> {
  const path = join(root, 'test/golden', name);
  const file = SafetensorsFile.open(`${path}.safetensors`);
  const values = (key: string): Float64Array => toFloat64(file.array(key), key);
  const shape = (key: string): readonly number[] => file.info(key).shape;
  return {
    settings: JSON.parse(readFileSync(`${path}.json`, 'utf8')) as S,
    has: (key) => file.has(key),
    values,
    shape,
    place: (key, device, requiresGrad = false) =>
      tensor(values(key), { shape: shape(key), dtype: 'f32', device, requiresGrad }),
  };
}

/** `max|x - y| / max|y|`, by 1 where y is all zero. */
export function relativeError(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let scale = 0;
  let worst = x.length === y.length ? 0 : Infinity;
  for (let i = 0; i < y.length; i++) {
    const d = Math.abs((x[i] as number) - (y[i] as number));
    worst = Math.max(worst, Number.isNaN(d) ? Infinity : d);
    scale = Math.max(scale, Math.abs(y[i] as number));
  }
  return worst / (scale === 0 ? 1 : scale);
}

/** The devices that the golden numbers are compared on, with what is allowed. */
export const compared: readonly { readonly device: Device; readonly allowed: number }[] = [
  { device: 'ref', allowed: 1e-9 },
  { device: 'cpu', allowed: 1e-4 },
];
