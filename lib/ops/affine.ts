import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { broadcastShapes } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sumThunk, sumTo } from './broadcast.js';
import { pointwise2 } from './pointwise.js';

export const affineOp = defineOp({
  name: 'affine',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  scalars: { scale: 'float', shift: 'float' },
  aliases: { y: 'x' },
  shapes: ({ x }) => ({ y: x }),
  backward: ({ scalars: { scale }, grads: { y: g } }) => ({ x: (to) => scaled(g, scale, to) }),
  reference({ x }, { y }, _attrs, { scale, shift }) {
    for (let i = 0; i < x.data.length; i++) y.data[i] = (x.data[i] as number) * scale + shift;
  },
  cases: [
    { inputs: { x: [3, 5, 17] }, scalars: { scale: 0.1, shift: -2 } },
    { inputs: { x: [] }, scalars: { scale: -3, shift: 0.5 } },
    { inputs: { x: [0, 3] }, scalars: { scale: 2, shift: 1 } },
    {
      name: 'special values',
      inputs: { x: { shape: [5], values: [NaN, Infinity, -Infinity, 0, -0] } },
      scalars: { scale: -2, shift: -0 },
      grad: false,
    },
    { name: 'bench', inputs: { x: [1 << 20] }, scalars: { scale: 0.5, shift: 1 }, bench: true, grad: false },
  ],
});

function scaled(x: Tensor, scale: number, to: { into?: Tensor; accumulate?: boolean }): Tensor {
  // -0 is what added to any number changes nothing, not even the sign of a zero.
  return run(affineOp, { x }, {}, { ...to, scalars: { scale, shift: -0 } }).y;
}

/**
 * `y = scale x + shift`, element by element: what `add`, `sub`, `mul` and `div` do with a JS number. The numbers are
 * taken in f32 also for bf16, and nothing is saved for the gradient `scale g`.
 */
export function affine(x: Tensor, scale: number, shift: number): Tensor {
  return run(affineOp, { x }, {}, { scalars: { scale, shift } }).y;
}

/** `x = scale x + shift`, in place. */
export function affine_(x: Tensor, scale: number, shift: number): Tensor {
  return run(affineOp, { x }, {}, { into: x, scalars: { scale, shift } }).y;
}

export const addScaledOp = defineOp({
  name: 'addScaled',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  scalars: { scale: 'float' },
  cast: 'widest',
  aliases: { y: 'a' },
  shapes: ({ a, b }) => ({ y: broadcastShapes('addScaled', a, b) }),
  backward: ({ scalars: { scale }, grads: { y: g }, inputs: { a, b } }) => ({
    a: sumThunk(g, a.shape),
    b: () => sumTo(affine(g, scale, -0), b.shape),
  }),
  reference({ a, b }, { y }, _attrs, { scale }) {
    pointwise2((p, q) => p + scale * q)({ a, b }, { y });
  },
  cases: [
    { inputs: { a: [4, 5], b: [4, 5] }, scalars: { scale: -0.3 } },
    { inputs: { a: [2, 1, 4], b: [3, 1] }, scalars: { scale: 2 } },
    { inputs: { a: [], b: [3] }, scalars: { scale: 1e-3 } },
    { inputs: { a: [0], b: [0] }, scalars: { scale: 1 } },
    {
      name: 'special values',
      inputs: { a: { shape: [3], values: [NaN, Infinity, 1] }, b: { shape: [3], values: [1, Infinity, NaN] } },
      scalars: { scale: -1 },
      grad: false,
    },
    {
      inputs: { a: [2, 3], b: [4] },
      scalars: { scale: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
    },
    { name: 'bench', inputs: { a: [1 << 20], b: [1 << 20] }, scalars: { scale: 0.1 }, bench: true, grad: false },
  ],
});
/** `y = a + scale b`, broadcasting, in one pass; a gradient for `a` and `b`. BLAS's axpy. */
export function addScaled(a: Tensor, b: Tensor, scale: number): Tensor {
  return run(addScaledOp, { a, b }, {}, { scalars: { scale } }).y;
}

/** `a += scale b` in place; `b` broadcasts to the shape of `a`. */
export function addScaled_(a: Tensor, b: Tensor, scale: number): Tensor {
  return run(addScaledOp, { a, b }, {}, { into: a, scalars: { scale } }).y;
}
