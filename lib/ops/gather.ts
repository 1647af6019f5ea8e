import { type RefArray, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, normalAxis, shapeError, showShape, stridesOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkIndices } from './indices.js';

function check(op: string, x: Shape, dim: number, index: Shape): void {
  const axis = normalAxis(op, dim, x.length);
  if (x.length === 0 || index.length !== x.length || index.some((n, d) => d !== axis && n > (x[d] as number))) {
    throw shapeError(
      op,
      `x ${showShape(x)} and index ${showShape(index)}`,
      `an index with as many axes, none longer than in x but axis ${axis}`,
    );
  }
}

/** Where in `x` the i-th entry of `index` points: its own place, but for the axis `dim`. */
function target(op: string, x: Shape, dim: number, index: RefArray): (i: number) => number {
  const axis = dim < 0 ? dim + x.length : dim;
  checkIndices(op, index, x[axis] as number);
  const to = stridesOf(x);
  const from = stridesOf(index.shape);
  return (i) => {
    let at = 0;
    for (let d = 0; d < x.length; d++) {
      const own = Math.floor(i / (from[d] as number)) % (index.shape[d] as number);
      at += (d === axis ? (index.data[i] as number) : own) * (to[d] as number);
    }
    return at;
  };
}

export const gatherOp = defineOp({
  name: 'gather',
  inputs: { x: 'diff', index: 'const' },
  inputTypes: { index: 'i32' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  saves: ['index'],
  shapes({ x, index }, { dim }) {
    check('gather', x, dim, index);
    return { y: index };
  },
  backward: ({ saved: { index }, grads: { y: g }, inputs: { x }, attrs: { dim } }) => ({
    x: (to) => run(gatherGradOp, { index, g }, { shape: x.shape, dim }, to).dx,
  }),
  reference({ x, index }, { y }, { dim }) {
    const at = target('gather', x.shape, dim, index);
    for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[at(i)] as number;
  },
  cases: [
    { inputs: { x: [4, 5], index: { shape: [4, 1], draw: 'index', below: 5 } }, attrs: { dim: 1 } },
    { inputs: { x: [4, 5], index: { shape: [7, 3], draw: 'index', below: 4 } }, attrs: { dim: 0 } },
    { inputs: { x: [3, 4, 5], index: { shape: [2, 6, 5], draw: 'index', below: 4 } }, attrs: { dim: -2 } },
    { inputs: { x: [6], index: { shape: [9], draw: 'index', below: 6 } }, attrs: { dim: 0 } },
    { inputs: { x: [4, 5], index: [0, 5] }, attrs: { dim: 0 } },
    {
      inputs: { x: [4, 5], index: { shape: [5, 1], values: [0] } },
      attrs: { dim: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'none longer' },
    },
    {
      name: 'bench',
      inputs: { x: [4096, 1000], index: { shape: [4096, 16], draw: 'index', below: 1000 } },
      attrs: { dim: 1 },
      bench: true,
      grad: false,
    },
  ],
});

export const gatherGradOp = defineOp({
  name: 'gatherGrad',
  inputs: { index: 'const', g: 'const' },
  inputTypes: { index: 'i32' },
  outputs: { dx: 'const' },
  attrs: { shape: 'ints', dim: 'int' },
  shapes({ index, g }, { shape, dim }) {
    check('gatherGrad', shape, dim, index);
    needShape('gatherGrad', 'g', g, index);
    return { dx: shape };
  },
  reference({ index, g }, { dx }, { dim }) {
    const at = target('gatherGrad', dx.shape, dim, index);
    for (let i = 0; i < g.data.length; i++) dx.data[at(i)] = (dx.data[at(i)] as number) + (g.data[i] as number);
  },
  cases: [
    {
      inputs: { index: { shape: [2, 6, 5], draw: 'index', below: 4 }, g: [2, 6, 5] },
      attrs: { shape: [3, 4, 5], dim: 1 },
    },
  ],
});

export const scatterAddOp = defineOp({
  name: 'scatterAdd',
  inputs: { x: 'diff', index: 'const', src: 'diff' },
  inputTypes: { index: 'i32' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  saves: ['index'],
  shapes({ x, index, src }, { dim }) {
    check('scatterAdd', x, dim, index);
    needShape('scatterAdd', 'src', src, index);
    return { y: x };
  },
  backward: ({ saved: { index }, grads: { y: g }, attrs: { dim } }) => ({
    x: () => g,
    src: (to) => run(gatherOp, { x: g, index }, { dim }, to).y,
  }),
  reference({ x, index, src }, { y }, { dim }) {
    const at = target('scatterAdd', x.shape, dim, index);
    y.data.set(x.data);
    for (let i = 0; i < src.data.length; i++) y.data[at(i)] = (y.data[at(i)] as number) + (src.data[i] as number);
  },
  cases: [
    { inputs: { x: [4, 5], index: { shape: [4, 3], draw: 'index', below: 5 }, src: [4, 3] }, attrs: { dim: 1 } },
    { inputs: { x: [4, 5], index: { shape: [9, 2], draw: 'index', below: 4 }, src: [9, 2] }, attrs: { dim: 0 } },
    {
      inputs: { x: [4, 5], index: { shape: [4, 3], values: [0] }, src: [4, 2] },
      attrs: { dim: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'needs [4, 3]' },
    },
  ],
});

/**
 * Picks along the axis `dim`: `y[i][j] = x[i][index[i][j]]` for `dim` 1, and likewise for other axes. `index` is i32
 * with as many axes as `x`; the result has its shape. A gradient for `x` (repeated picks add up).
 *
 * @throws ERR_SHAPE_MISMATCH for shapes that do not fit; ERR_KERNEL for an index out of range, when the device gets to it
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  return run(gatherOp, { x, index }, { dim }).y;
}

/**
 * `x` with `src` added where `index` says, the adjoint of `gather`: `y[i][index[i][j]] += src[i][j]` for `dim` 1. `src`
 * has the shape of `index`. Repeated places add up in order, in f32. A gradient for `x` and `src`.
 *
 * @throws ERR_SHAPE_MISMATCH for shapes that do not fit; ERR_KERNEL for an index out of range, when the device gets to it
 */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  return run(scatterAddOp, { x, index, src }, { dim }).y;
}
