import { checkFits, dtypes } from '../core/dtype.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { broadcastShapes, sameShape, shapeError, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { broadcastTo, sumThunk } from './broadcast.js';
import { constant } from './creation.js';
import { broadcastIndex } from './pointwise.js';

export const fillOp = defineOp({
  name: 'fill',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  scalars: { value: 'float' },
  types: dtypes,
  aliases: { y: 'x' },
  shapes: ({ x }) => ({ y: x }),
  backward: ({ grads: { y: g } }) => ({ x: () => zerosLike(g) }),
  reference(_, { y }, _attrs, { value }) {
    y.data.fill(value);
  },
  cases: [
    { inputs: { x: [3, 5] }, scalars: { value: 3 } },
    { inputs: { x: [0] }, scalars: { value: 3 } },
    { name: 'special values', inputs: { x: [2] }, scalars: { value: Infinity }, dtypes: ['f32', 'bf16'], grad: false },
    { name: 'bench', inputs: { x: [1 << 20] }, scalars: { value: 0 }, bench: true },
  ],
});
/**
 * Overwrites every element of `x` with `value`, in place, and returns `x`. What `x` was computed from gets a zero
 * gradient.
 *
 * @throws ERR_DTYPE when an integer dtype cannot hold `value`, ERR_ARGUMENT for a leaf that requires a gradient (fill
 * it inside `noGrad`)
 */
export function fill_(x: Tensor, value: number): Tensor {
  checkFits('fill_', x.alive('fill_').dtype, value);
  return run(fillOp, { x }, {}, { into: x, scalars: { value } }).y;
}

export const copyOp = defineOp({
  name: 'copy',
  inputs: { x: 'diff', from: 'diff' },
  outputs: { y: 'diff' },
  types: dtypes,
  aliases: { y: 'x' },
  shapes({ x, from }) {
    if (!sameShape(broadcastShapes('copy_', x, from), x))
      throw shapeError('copy_', `a source of shape ${showShape(from)}`, `one that broadcasts to ${showShape(x)}`);
    return { y: x };
  },
  backward: ({ grads: { y: g }, inputs: { from } }) => ({ x: () => zerosLike(g), from: sumThunk(g, from.shape) }),
  reference({ from }, { y }) {
    const at = broadcastIndex(from.shape, y.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = from.data[at(i)] as number;
  },
  cases: [
    { inputs: { x: [3, 5], from: [3, 5] } },
    { inputs: { x: [2, 3, 5], from: [3, 1] } },
    { inputs: { x: [4], from: [] } },
    { inputs: { x: [0, 2], from: [2] } },
    { name: 'past the cache', inputs: { x: [4_200_003], from: [4_200_003] }, dtypes: ['f32'], grad: false },
    { inputs: { x: [3], from: [2, 3] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'copy_' } },
    { name: 'bench', inputs: { x: [1 << 20], from: [1 << 20] }, bench: true, grad: false },
  ],
});
/**
 * Overwrites `x` with the values of `from`, which has the same dtype and broadcasts to the shape of `x`; returns `x`.
 * `from` gets the gradient, what `x` was computed from before gets zeros.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE, ERR_ARGUMENT for a leaf that requires a gradient (copy inside `noGrad`)
 */
export function copy_(x: Tensor, from: Tensor): Tensor {
  return run(copyOp, { x, from }, {}, { into: x }).y;
}

/** The same values in storage of their own; the gradient passes through. */
export function clone(x: Tensor): Tensor {
  return broadcastTo(x, x.alive('clone').shape);
}

/** Zeros of the shape, dtype and device of `x`; no gradient leads back to `x`. */
export function zerosLike(x: Tensor): Tensor {
  const { shape, dtype, device } = x.alive('zerosLike');
  return constant(shape, dtype, 0, device);
}

/** Ones of the shape, dtype and device of `x`; no gradient leads back to `x`. */
export function onesLike(x: Tensor): Tensor {
  const { shape, dtype, device } = x.alive('onesLike');
  return constant(shape, dtype, 1, device);
}
