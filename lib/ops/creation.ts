import { type Device, checkDevice, defaultDevice } from '../core/device.js';
import { type DType, type FloatDType, checkDType, checkFits, dtypes } from '../core/dtype.js';
import type { TensorOptions } from '../core/create.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { uniformAt } from '../core/random.js';
import { onDevice, run } from '../core/run.js';
import { type Shape, checkShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

/** A new tensor of one value: behind `full`, and behind every JS number that meets a tensor. */
export const fullOp = defineOp({
  name: 'full',
  inputs: {},
  outputs: { y: 'const' },
  attrs: { shape: 'ints', dtype: dtypes },
  scalars: { value: 'float' },
  types: dtypes,
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  shapes: (_, { shape }) => ({ y: shape }),
  reference(_, { y }, _attrs, { value }) {
    y.data.fill(value);
  },
  cases: [
    { inputs: {}, attrs: { shape: [3, 5], dtype: 'f32' }, scalars: { value: 0.1 } },
    { inputs: {}, attrs: { shape: [], dtype: 'bf16' }, scalars: { value: -2.5 } },
    { inputs: {}, attrs: { shape: [0, 2], dtype: 'f32' }, scalars: { value: 1 } },
    { inputs: {}, attrs: { shape: [7], dtype: 'i32' }, scalars: { value: -2147483648 } },
    { inputs: {}, attrs: { shape: [7], dtype: 'u8' }, scalars: { value: 255 } },
    { name: 'special values', inputs: {}, attrs: { shape: [2], dtype: 'bf16' }, scalars: { value: NaN } },
    { name: 'bench', inputs: {}, attrs: { shape: [1 << 20], dtype: 'f32' }, scalars: { value: 1 }, bench: true },
  ],
});

/** A tensor of one value. The caller has checked all four. */
export function constant(shape: Shape, dtype: DType, value: number, device: Device): Tensor {
  return onDevice(device, () => run(fullOp, {}, { shape, dtype }, { scalars: { value } }).y);
}

/** Checks what all creation functions share, makes the tensor on its device and marks it as a leaf if asked. */
function create<D extends DType>(
  where: string,
  shape: Shape,
  options: TensorOptions<D>,
  make: (dtype: DType) => Tensor,
): Tensor<D> {
  checkOptions(where, options, ['dtype', 'device', 'requiresGrad']);
  checkShape(where, shape);
  const { dtype = 'f32', device = defaultDevice(), requiresGrad = false } = options;
  checkDType(where, dtype);
  checkDevice(where, device);
  const t = onDevice(device, () => make(dtype)) as Tensor<D>;
  if (requiresGrad) t.requiresGrad = true;
  return t;
}

/**
 * A tensor of this shape filled with `value`; f32 unless `dtype` says otherwise.
 *
 * @throws ERR_DTYPE when an integer dtype cannot hold `value`, ERR_SHAPE_MISMATCH, ERR_OPTION, ERR_DEVICE, ERR_OOM
 */
export function full<D extends DType = 'f32'>(shape: Shape, value: number, options: TensorOptions<D> = {}): Tensor<D> {
  return filled('full', shape, value, options);
}

/** Zeros of this shape; f32 unless `dtype` says otherwise. */
export function zeros<D extends DType = 'f32'>(shape: Shape, options: TensorOptions<D> = {}): Tensor<D> {
  return filled('zeros', shape, 0, options);
}

/** Ones of this shape; f32 unless `dtype` says otherwise. */
export function ones<D extends DType = 'f32'>(shape: Shape, options: TensorOptions<D> = {}): Tensor<D> {
  return filled('ones', shape, 1, options);
}

function filled<D extends DType>(where: string, shape: Shape, value: number, options: TensorOptions<D>): Tensor<D> {
  return create(where, shape, options, (dtype) => {
    checkFits(where, dtype, value);
    return run(fullOp, {}, { shape, dtype }, { scalars: { value } }).y;
  });
}

export const arangeOp = defineOp({
  name: 'arange',
  inputs: {},
  outputs: { y: 'const' },
  attrs: { count: 'int', dtype: dtypes },
  scalars: { start: 'float', step: 'float' },
  types: dtypes,
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  shapes: (_, { count }) => ({ y: [count] }),
  reference(_, { y }, _attrs, { start, step }) {
    for (let i = 0; i < y.data.length; i++) y.data[i] = start + i * step;
  },
  cases: [
    { inputs: {}, attrs: { count: 10, dtype: 'i32' }, scalars: { start: 5, step: -3 } },
    { inputs: {}, attrs: { count: 33, dtype: 'f32' }, scalars: { start: -1, step: 0.1 } },
    { inputs: {}, attrs: { count: 33, dtype: 'bf16' }, scalars: { start: 0, step: 0.5 } },
    { inputs: {}, attrs: { count: 256, dtype: 'u8' }, scalars: { start: 0, step: 1 } },
    { inputs: {}, attrs: { count: 0, dtype: 'f32' }, scalars: { start: 0, step: 1 } },
    { name: 'bench', inputs: {}, attrs: { count: 1 << 20, dtype: 'f32' }, scalars: { start: 0, step: 1 }, bench: true },
  ],
});

export interface ArangeOptions<D extends DType = DType> extends TensorOptions<D> {
  /** First value (default 0). */
  start?: number;
  /** Distance between neighbours, not 0 (default 1). */
  step?: number;
}
/**
 * `start, start + step, ...` up to but without `end`: one axis of `ceil((end - start) / step)` elements, each computed
 * in double precision as `start + i step`. f32 unless `dtype` says otherwise.
 *
 * @throws ERR_ARGUMENT for a step of 0, one that leads away from `end`, or numbers that are not finite, ERR_DTYPE when
 * an integer dtype cannot hold the values
 */
export function arange<D extends DType = 'f32'>(end: number, options: ArangeOptions<D> = {}): Tensor<D> {
  checkOptions('arange', options, ['start', 'step', 'dtype', 'device', 'requiresGrad']);
  const { start = 0, step = 1, ...rest } = options;
  const count = Math.ceil((end - start) / step);
  if (!(count >= 0) || !Number.isFinite(count) || !Number.isFinite(step)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `arange: from ${start} to ${end} in steps of ${step} is not a range; needs finite numbers and a step, not 0, that leads to the end.`,
      { start, end, step },
    );
  }
  return create('arange', [count], rest as TensorOptions<D>, (dtype) => {
    checkFits('arange', dtype, start);
    if (count > 1) checkFits('arange', dtype, start + step);
    if (count > 1) checkFits('arange', dtype, start + (count - 1) * step);
    return run(arangeOp, {}, { count, dtype }, { scalars: { start, step } }).y;
  });
}

const floats: readonly FloatDType[] = ['f32', 'bf16'];

function checkFloat(where: string, dtype: DType): FloatDType {
  if (dtype === 'f32' || dtype === 'bf16') return dtype;
  throw new SecateurError('ERR_DTYPE', `${where}: draws floats, not ${dtype}; needs dtype f32 or bf16.`, { dtype });
}

export const randOp = defineOp({
  name: 'rand',
  inputs: {},
  outputs: { y: 'const' },
  attrs: { shape: 'ints', dtype: floats },
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  random: (_, { shape }) => sizeOf(shape),
  shapes: (_, { shape }) => ({ y: shape }),
  reference(_, { y }, { dtype }, _scalars, { seed, position }) {
    for (let i = 0; i < y.data.length; i++) {
      const u = uniformAt(seed, position + i);
      // The upper 8 bits: rounding could reach 1.
      y.data[i] = dtype === 'bf16' ? Math.floor(u * 256) / 256 : u;
    }
  },
  cases: [
    { inputs: {}, attrs: { shape: [3, 11], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [2051], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [2051], dtype: 'bf16' } },
    { inputs: {}, attrs: { shape: [], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [0], dtype: 'f32' } },
    { name: 'bench', inputs: {}, attrs: { shape: [1 << 20], dtype: 'f32' }, bench: true },
  ],
  tolerance: { f32: 0, bf16: 0, why: 'every device draws the same bits' },
});
/**
 * Uniform numbers in [0, 1): in f32 multiples of 2^-24, in bf16 of 2^-8. Element i is word `position + i` of the
 * generator, bit for bit the same on every device. `requiresGrad` makes the tensor a leaf; nothing leads back further.
 *
 * @throws ERR_DTYPE for an integer dtype, ERR_SHAPE_MISMATCH, ERR_OPTION, ERR_DEVICE, ERR_OOM
 */
export function rand<D extends FloatDType = 'f32'>(shape: Shape, options: TensorOptions<D> = {}): Tensor<D> {
  return create('rand', shape, options, (dtype) => run(randOp, {}, { shape, dtype: checkFloat('rand', dtype) }).y);
}

export const randnOp = defineOp({
  name: 'randn',
  inputs: {},
  outputs: { y: 'const' },
  attrs: { shape: 'ints', dtype: floats },
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  random: (_, { shape }) => sizeOf(shape) + (sizeOf(shape) % 2),
  shapes: (_, { shape }) => ({ y: shape }),
  reference(_, { y }, _attrs, _scalars, { seed, position }) {
    for (let i = 0; i < y.data.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(seed, position + i)));
      const angle = 2 * Math.PI * uniformAt(seed, position + i + 1);
      y.data[i] = radius * Math.cos(angle);
      if (i + 1 < y.data.length) y.data[i + 1] = radius * Math.sin(angle);
    }
  },
  cases: [
    { inputs: {}, attrs: { shape: [3, 11], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [70001], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [2051], dtype: 'bf16' } },
    { inputs: {}, attrs: { shape: [], dtype: 'f32' } },
    { inputs: {}, attrs: { shape: [0], dtype: 'f32' } },
    { name: 'bench', inputs: {}, attrs: { shape: [1 << 20], dtype: 'f32' }, bench: true },
  ],
});
/**
 * Normal numbers of mean 0 and variance 1 (Box and Muller 1958): uniforms `u, v` give `sqrt(-2 ln(1 - u))` times
 * `cos(2 pi v)` and `sin(2 pi v)`. The largest magnitude is 5.77. Every device draws the same words; values differ by
 * rounding only.
 *
 * @throws ERR_DTYPE for an integer dtype, ERR_SHAPE_MISMATCH, ERR_OPTION, ERR_DEVICE, ERR_OOM
 */
export function randn<D extends FloatDType = 'f32'>(shape: Shape, options: TensorOptions<D> = {}): Tensor<D> {
  return create('randn', shape, options, (dtype) => run(randnOp, {}, { shape, dtype: checkFloat('randn', dtype) }).y);
}

export const oneHotOp = defineOp({
  name: 'oneHot',
  inputs: { indices: 'const' },
  outputs: { y: 'const' },
  attrs: { classes: 'int', dtype: dtypes },
  types: ['i32'],
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  shapes({ indices }, { classes }) {
    checkShape('oneHot', [...indices, classes]);
    return { y: [...indices, classes] };
  },
  reference({ indices }, { y }, { classes }) {
    indices.data.forEach((at, row) => {
      if (at < 0 || at >= classes) throw new SecateurError('ERR_KERNEL', 'oneHot: an index is not in 0..classes-1.');
      y.data[row * classes + at] = 1;
    });
  },
  cases: [
    { inputs: { indices: { shape: [7], draw: 'index', below: 5 } }, attrs: { classes: 5, dtype: 'f32' } },
    { inputs: { indices: { shape: [2, 3], draw: 'index', below: 4 } }, attrs: { classes: 4, dtype: 'bf16' } },
    { inputs: { indices: { shape: [], draw: 'index', below: 3 } }, attrs: { classes: 3, dtype: 'i32' } },
    { inputs: { indices: { shape: [5], draw: 'index', below: 3 } }, attrs: { classes: 3, dtype: 'u8' } },
    { inputs: { indices: [0] }, attrs: { classes: 3, dtype: 'f32' } },
    {
      inputs: { indices: [2] },
      attrs: { classes: -1, dtype: 'f32' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'oneHot' },
    },
    {
      name: 'bench',
      inputs: { indices: { shape: [4096], draw: 'index', below: 256 } },
      attrs: { classes: 256, dtype: 'f32' },
      bench: true,
    },
  ],
});
/**
 * `y[..., c] = 1` where `indices[...] = c`, else 0: shape `[...indices, classes]`, f32 unless `dtype` says otherwise.
 * No gradient.
 *
 * @throws ERR_DTYPE when `indices` is not i32, ERR_KERNEL (at the next synchronisation) for an index outside
 * `0..classes-1`
 */
export function oneHot<D extends DType = 'f32'>(
  indices: Tensor,
  classes: number,
  options: { dtype?: D } = {},
): Tensor<D> {
  checkOptions('oneHot', options, ['dtype']);
  const dtype = options.dtype ?? 'f32';
  checkDType('oneHot', dtype);
  return run(oneHotOp, { indices }, { classes, dtype }).y as Tensor<D>;
}
