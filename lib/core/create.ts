import { refuseCapture } from './capturing.js';
import { type DType, dtypeCode, isFloat, roundTo, checkDType } from './dtype.js';
import { type Device, checkDevice, defaultDevice, deviceCode } from './device.js';
import { SecateurError, checkOptions } from './errors.js';
import { guarded, native } from './native.js';
import { adoptTensor } from './run.js';
import { type Shape, checkShape, showShape, sizeOf } from './shape.js';
import { type Tensor, flushReleases } from './tensor.js';

export interface TensorOptions<D extends DType = DType> {
  /** Element type (default f32; for `tensor`, what fits the values). */
  dtype?: D;
  /** Where it lives (default: the default device). */
  device?: Device;
  /** Whether the tape follows what is computed from it (default false). Only f32 and bf16 can. */
  requiresGrad?: boolean;
}

/** A number, or lists of equal length, as deep as there are axes. */
export type Nested = number | boolean | readonly Nested[];
/** Typed arrays that a tensor can be made from. */
export type HostData = Float32Array | Float64Array | Int32Array | Uint8Array;

function isHostData(values: unknown): values is HostData {
  return (
    values instanceof Float32Array ||
    values instanceof Float64Array ||
    values instanceof Int32Array ||
    values instanceof Uint8Array
  );
}

function shapeOf(values: Nested): number[] {
  const shape: number[] = [];
  for (let v: Nested | undefined = values; Array.isArray(v); v = (v as readonly Nested[])[0]) shape.push(v.length);
  return shape;
}

function flatten(values: Nested, shape: Shape, axis: number, into: number[]): void {
  if (axis === shape.length) {
    if (Array.isArray(values)) throw ragged(shape);
    if (typeof values !== 'number' && typeof values !== 'boolean')
      throw new SecateurError(
        'ERR_ARGUMENT',
        `tensor: a value is of type ${typeof values}; needs numbers or booleans.`,
      );
    into.push(Number(values));
    return;
  }
  if (!Array.isArray(values) || values.length !== shape[axis]) throw ragged(shape);
  for (const v of values as readonly Nested[]) flatten(v, shape, axis + 1, into);
}

function ragged(shape: Shape): SecateurError {
  return new SecateurError(
    'ERR_SHAPE_MISMATCH',
    `tensor: the nested arrays are ragged; the first row of each level says ${showShape(shape)}.`,
    { shape },
  );
}

/**
 * A tensor from numbers: nested arrays, or a typed array and a `shape` (default: one axis). Without `dtype`, floats
 * give f32, Int32Array i32, Uint8Array and booleans u8. The values are copied once; later changes to the array are
 * not seen.
 *
 * @throws ERR_SHAPE_MISMATCH for ragged arrays or a shape of another size, ERR_ARGUMENT for what is no number,
 * ERR_DTYPE, ERR_DEVICE, ERR_OOM
 */
export function tensor<D extends DType = 'f32'>(
  values: Nested | HostData,
  options: TensorOptions<D> & { shape?: Shape } = {},
): Tensor<D> {
  checkOptions('tensor', options, ['dtype', 'device', 'requiresGrad', 'shape']);
  let data: HostData | number[];
  let natural: number[];
  if (isHostData(values)) {
    data = values;
    natural = [values.length];
  } else {
    natural = shapeOf(values);
    data = [];
    flatten(values, natural, 0, data);
  }
  const shape = options.shape ?? natural;
  checkShape('tensor', shape);
  if (sizeOf(shape) !== data.length) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `tensor: ${data.length} values do not fill shape ${showShape(shape)}, which has ${sizeOf(shape)} elements.`,
      { shape, values: data.length },
    );
  }
  const dtype = (options.dtype ?? naturalType(values)) as D;
  checkDType('tensor', dtype);
  const device = options.device ?? defaultDevice();
  checkDevice('tensor', device);
  const t = upload(data, dtype, [...shape], device);
  if (options.requiresGrad === true) t.requiresGrad = true;
  return t;
}

function naturalType(values: Nested | HostData): DType {
  if (values instanceof Int32Array) return 'i32';
  if (values instanceof Uint8Array || typeof values === 'boolean') return 'u8';
  let first: unknown = values;
  while (Array.isArray(first)) first = first[0];
  return typeof first === 'boolean' ? 'u8' : 'f32';
}

function upload<D extends DType>(data: HostData | number[], dtype: D, shape: Shape, device: Device): Tensor<D> {
  if (device === 'ref') {
    const values = Float64Array.from(data);
    // What a stored f32 or bf16 would lose is kept: `ref` computes in double precision.
    if (!isFloat(dtype)) for (let i = 0; i < values.length; i++) values[i] = roundTo(dtype, values[i] as number);
    return adoptTensor(0, values, dtype, shape, 'ref') as Tensor<D>;
  }
  let host: Float32Array | Int32Array | Uint8Array;
  if (isFloat(dtype)) host = data instanceof Float32Array ? data : Float32Array.from(data);
  else if (dtype === 'i32') host = data instanceof Int32Array ? data : Int32Array.from(data);
  else host = data instanceof Uint8Array ? data : Uint8Array.from(data);
  refuseCapture('tensor', device);
  flushReleases();
  const block = native.block;
  block[0] = shape.length;
  for (let i = 0; i < shape.length; i++) block[i + 1] = shape[i] as number;
  const from: DType = isFloat(dtype) ? 'f32' : dtype;
  const handle = guarded(() => native.upload(host, dtypeCode[dtype], dtypeCode[from], deviceCode(device)));
  return adoptTensor(handle, undefined, dtype, shape, device) as Tensor<D>;
}

/** Overwrites the elements of `t` from a host array, in place. Waits for the device. */
export function writeData(t: Tensor, values: HostData | readonly number[]): void {
  t.alive('writeData');
  refuseCapture('writeData', t.device);
  if (values.length !== t.size) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `writeData: ${values.length} values for a tensor of shape ${showShape(t.shape)}.`,
    );
  }
  t.cell.stamp.version++;
  t.cell.stamp.writer = 'writeData';
  if (t.cell.values !== undefined) {
    t.cell.values.set(values);
    return;
  }
  const host = isFloat(t.dtype)
    ? Float32Array.from(values)
    : t.dtype === 'i32'
      ? Int32Array.from(values)
      : Uint8Array.from(values);
  guarded(() => native.write(t.cell.handle, host, isFloat(t.dtype) ? dtypeCode.f32 : dtypeCode[t.dtype]));
}

/** Moves or copies a tensor's values to another device; the same tensor when it is there already. Not followed by the tape. */
export function toDevice<D extends DType>(t: Tensor<D>, device: Device): Tensor<D> {
  checkDevice('to', device);
  if (t.device === device) return t;
  return upload(t.device === 'ref' ? t.doubles() : (t.data() as HostData), t.dtype, t.shape, device);
}
