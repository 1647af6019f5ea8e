import { SecateurError } from '../core/errors.js';

/**
 * Bytes of one element, for every dtype a file may hold. The order is that of the safetensors reference implementation,
 * whose writer lays tensors out from the last dtype to the first, so that all of them are aligned.
 */
export const ITEM_SIZE = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** An element type as files name it. More than the runtime computes with: f16 and i64 exist in files only. */
export type FileDType = keyof typeof ITEM_SIZE;

/** An array as it lies in a file: row-major, little-endian bytes. */
export interface RawArray {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Whether `name` is an element type this package can hold. */
export function isFileDType(name: string): name is FileDType {
  return Object.hasOwn(ITEM_SIZE, name);
}

/** Number of elements of a shape (1 for a scalar's `[]`), or undefined when no array could be that large. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) return undefined;
    count *= dim;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * Typed views by dtype. Files are little-endian, and so is every processor this package builds for. BigInt for 64-bit
 * integers, bit patterns (u16) for the 16-bit floats; the 8-bit floats have no view, their bytes can only be copied.
 */
const VIEWS = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
} as const;

/** A typed array whose element type says its file dtype by itself. */
export type PlainValues =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

function plainDType(values: PlainValues): FileDType {
  if (values instanceof Float32Array) return 'F32';
  if (values instanceof Float64Array) return 'F64';
  if (values instanceof Int32Array) return 'I32';
  if (values instanceof Uint8Array) return 'U8';
  if (values instanceof BigInt64Array) return 'I64';
  if (values instanceof BigUint64Array) return 'U64';
  if (values instanceof Uint32Array) return 'U32';
  if (values instanceof Int16Array) return 'I16';
  if (values instanceof Uint16Array) return 'U16';
  return 'I8';
}

/**
 * The RawArray over `values` (no copy). `dtype` is only needed where the typed array does not tell: 'BF16' or 'F16' for
 * bit patterns in a Uint16Array, 'BOOL' for a Uint8Array.
 *
 * @throws SecateurError ERR_SHAPE_MISMATCH when the shape does not have as many elements, ERR_DTYPE when the element sizes differ.
 */
export function rawArrayOf(values: PlainValues, shape: readonly number[], dtype = plainDType(values)): RawArray {
  if (ITEM_SIZE[dtype] !== values.BYTES_PER_ELEMENT) {
    throw new SecateurError(
      'ERR_DTYPE',
      `rawArrayOf: ${dtype} has ${ITEM_SIZE[dtype]} bytes an element, the given ${values.constructor.name} has ${values.BYTES_PER_ELEMENT}.`,
    );
  }
  if (elementCount(shape) !== values.length) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `rawArrayOf: shape [${shape.join(', ')}] does not have the ${values.length} elements given.`,
      { shape, elements: values.length },
    );
  }
  return { dtype, shape: [...shape], bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

type Elements = InstanceType<(typeof VIEWS)[keyof typeof VIEWS]>;

/** The elements under their own type; copied first where the bytes are not aligned for it. */
function elementsOf(raw: RawArray, what: string): Elements {
  if (raw.dtype === 'F8_E5M2' || raw.dtype === 'F8_E4M3') {
    throw new SecateurError(
      'ERR_DTYPE',
      `${what} is ${raw.dtype}, which is not computed with; convert the file to F16, BF16 or F32 first.`,
    );
  }
  const View = VIEWS[raw.dtype];
  const aligned = raw.bytes.byteOffset % View.BYTES_PER_ELEMENT === 0 ? raw.bytes : raw.bytes.slice();
  return new View(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / View.BYTES_PER_ELEMENT);
}

/** bf16 bits to the float they mean: the upper half of a float32, so exact. */
function widenBf16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = (bits[i] ?? 0) << 16;
  return new Float32Array(words.buffer);
}

/** IEEE half bits to float32, exact: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function widenF16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  const floats = new Float32Array(words.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i] ?? 0;
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0)
      floats[i] = (sign < 0 ? -1 : 1) * fraction * 2 ** -24; // zero (with its sign) and subnormals
    else words[i] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (fraction << 13); // 31: infinity, NaN
  }
  return floats;
}

function outOfRange(what: string, raw: RawArray, index: number, value: number | bigint, target: string): SecateurError {
  return new SecateurError(
    'ERR_DTYPE',
    `${what} (${raw.dtype}) holds ${value} at flat index ${index}, which ${target} cannot hold.`,
    { dtype: raw.dtype, index, value: String(value), target },
  );
}

/**
 * The values as float64. Exact for every dtype.
 *
 * @param what names the array in messages.
 * @throws SecateurError ERR_DTYPE for a 64-bit integer beyond 2^53 (float64 would change it) and for the 8-bit floats.
 */
export function toFloat64(raw: RawArray, what = 'the array'): Float64Array {
  const from = elementsOf(raw, what);
  if (raw.dtype === 'F16') return Float64Array.from(widenF16(from as Uint16Array));
  if (raw.dtype === 'BF16') return Float64Array.from(widenBf16(from as Uint16Array));
  if (!(from instanceof BigInt64Array || from instanceof BigUint64Array)) return Float64Array.from(from);
  const out = new Float64Array(from.length);
  for (let i = 0; i < from.length; i++) {
    const value = Number(from[i]);
    if (!Number.isSafeInteger(value)) throw outOfRange(what, raw, i, from[i] ?? 0n, 'float64');
    out[i] = value;
  }
  return out;
}

/**
 * The values as float32. Exact for F32, F16, BF16 and integers; F64 is rounded to nearest.
 *
 * @param what names the array in messages.
 * @throws SecateurError ERR_DTYPE for a finite F64 that would become infinite, an integer float32 cannot hold exactly,
 * and for the 8-bit floats.
 */
export function toFloat32(raw: RawArray, what = 'the array'): Float32Array {
  if (raw.dtype === 'F16') return widenF16(elementsOf(raw, what) as Uint16Array);
  if (raw.dtype === 'BF16') return widenBf16(elementsOf(raw, what) as Uint16Array);
  if (raw.dtype === 'F32') return Float32Array.from(elementsOf(raw, what) as Float32Array);
  const from = toFloat64(raw, what);
  const out = new Float32Array(from.length);
  for (let i = 0; i < from.length; i++) {
    const value = from[i] ?? 0;
    const rounded = Math.fround(value);
    const held = raw.dtype === 'F64' ? Number.isFinite(rounded) || !Number.isFinite(value) : rounded === value;
    if (!held) throw outOfRange(what, raw, i, value, 'float32');
    out[i] = rounded;
  }
  return out;
}

/**
 * The values of an integer or BOOL array as int32.
 *
 * @param what names the array in messages.
 * @throws SecateurError ERR_DTYPE for a value outside [-2^31, 2^31) and for float arrays, which are not integers.
 */
export function toInt32(raw: RawArray, what = 'the array'): Int32Array {
  if (raw.dtype.startsWith('F') || raw.dtype === 'BF16') {
    throw new SecateurError(
      'ERR_DTYPE',
      `${what} is ${raw.dtype}, int32 takes integer and BOOL arrays only; read it as float32.`,
    );
  }
  const from = elementsOf(raw, what);
  const out = new Int32Array(from.length);
  for (let i = 0; i < from.length; i++) {
    const value = Number(from[i]);
    if (value !== (value | 0)) throw outOfRange(what, raw, i, from[i] ?? 0, 'int32');
    out[i] = value;
  }
  return out;
}
