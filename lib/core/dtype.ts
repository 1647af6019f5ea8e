import { SecateurError } from './errors.js';

/** Element types that compute. Files may also hold f16, f64 and i64, which are converted on reading. */
export type DType = 'f32' | 'bf16' | 'i32' | 'u8';
export type FloatDType = 'f32' | 'bf16';

export const dtypes: readonly DType[] = ['f32', 'bf16', 'i32', 'u8'];

/** The number native code knows a dtype by: its index in `dtypes`. */
export const dtypeCode: Readonly<Record<DType, number>> = { f32: 0, bf16: 1, i32: 2, u8: 3 };
export const dtypeBytes: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, i32: 4, u8: 1 };

/** The typed array `data()` gives: bf16 is widened to float32. */
export type DataOf<D extends DType> = D extends FloatDType ? Float32Array : D extends 'i32' ? Int32Array : Uint8Array;

export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype === 'f32' || dtype === 'bf16';
}

export function newData(dtype: DType, length: number): Float32Array | Int32Array | Uint8Array {
  if (isFloat(dtype)) return new Float32Array(length);
  return dtype === 'i32' ? new Int32Array(length) : new Uint8Array(length);
}

export function checkDType(where: string, dtype: unknown): asserts dtype is DType {
  if (!dtypes.includes(dtype as DType)) {
    throw new SecateurError(
      'ERR_DTYPE',
      `${where}: '${String(dtype)}' is not a dtype; use one of ${dtypes.join(', ')}.`,
      {
        dtype,
      },
    );
  }
}

/** Refuses a number that an integer dtype would change: one with a fraction, or out of range. Floats take any. */
export function checkFits(where: string, dtype: DType, x: number): void {
  if (isFloat(dtype) || roundTo(dtype, x) === x) return;
  const range = dtype === 'i32' ? '-2147483648 to 2147483647' : '0 to 255';
  throw new SecateurError(
    'ERR_DTYPE',
    `${where}: ${dtype} cannot hold ${x}; needs a whole number from ${range}. Use a float dtype, or round first.`,
    { dtype, value: x },
  );
}

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The double nearest to `x` that the dtype can hold: what a stored value becomes. */
export function roundTo(dtype: DType, x: number): number {
  if (dtype === 'f32') return Math.fround(x);
  if (dtype === 'i32') return x | 0;
  if (dtype === 'u8') return x & 255;
  f32[0] = x;
  if (Number.isNaN(x)) return x;
  const bits = u32[0] ?? 0;
  u32[0] = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return f32[0];
}
