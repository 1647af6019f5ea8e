import { dtypes } from '../core/dtype.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, broadcastShapes } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sumTo } from './broadcast.js';
import { constant } from './creation.js';
import { withOperand } from './number.js';
import { broadcastIndex } from './pointwise.js';

export const whereOp = defineOp({
  name: 'where',
  inputs: { cond: 'const', a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: dtypes,
  inputTypes: { cond: 'u8' },
  cast: 'widest',
  saves: ['cond'],
  shapes: ({ cond, a, b }) => ({ y: broadcastShapes('where', broadcastShapes('where', a, b), cond) }),
  backward: ({ saved: { cond }, grads: { y: g }, inputs: { a, b } }) => ({
    a: () => masked(cond, g, true, a.shape),
    b: () => masked(cond, g, false, b.shape),
  }),
  reference({ cond, a, b }, { y }) {
    const ic = broadcastIndex(cond.shape, y.shape);
    const ia = broadcastIndex(a.shape, y.shape);
    const ib = broadcastIndex(b.shape, y.shape);
    for (let i = 0; i < y.data.length; i++)
      y.data[i] = (cond.data[ic(i)] !== 0 ? a.data[ia(i)] : b.data[ib(i)]) as number;
  },
  cases: [
    { inputs: { cond: [4, 5], a: [4, 5], b: [4, 5] } },
    { inputs: { cond: [2, 3, 1], a: [1, 4], b: [] } },
    { inputs: { cond: [5], a: [2, 1], b: [2, 5] } },
    { inputs: { cond: [], a: [3], b: [] } },
    { inputs: { cond: [3, 5], a: [], b: [] } },
    { inputs: { cond: [0, 3], a: [3], b: [3] } },
    { name: 'any value but 0 holds', inputs: { cond: { shape: [3], values: [2, 255, 0] }, a: [3], b: [3] } },
    {
      name: 'special values',
      inputs: {
        cond: { shape: [4], values: [1, 0, 1, 0] },
        a: { shape: [4], values: [NaN, NaN, Infinity, Infinity] },
        b: { shape: [4], values: [1, NaN, 1, -Infinity] },
      },
      dtypes: ['f32', 'bf16'],
      grad: false,
    },
    {
      inputs: { cond: [2], a: [3], b: [3] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[3] and [2]' },
    },
    {
      inputs: { cond: { shape: [3], dtype: 'f32' }, a: [3], b: [3] },
      refuses: { code: 'ERR_DTYPE', says: "'cond' is f32; needs u8" },
    },
    { name: 'bench', inputs: { cond: [1 << 20], a: [1 << 20], b: [1 << 20] }, bench: true, grad: false },
  ],
});

function masked(cond: Tensor, g: Tensor, where: boolean, shape: Shape): Tensor {
  const zero = constant([], g.dtype, 0, g.device);
  const d: Tensor = run(whereOp, where ? { cond, a: g, b: zero } : { cond, a: zero, b: g }, {}).y;
  return sumTo(d, shape);
}

/**
 * `y = a` where `cond` (u8) is not 0, else `b`, broadcasting all three; a gradient for `a` and `b`. Either may be a
 * number, which takes the dtype of the other; two numbers give f32.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE when `cond` is not u8 or `a` and `b` differ
 */
export function where(cond: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  if (typeof a === 'number' && typeof b === 'number') {
    const first = constant([], 'f32', a, cond.alive('where').device);
    const y = where(cond, first, b);
    first.dispose();
    return y;
  }
  const like = (typeof a === 'number' ? b : a) as Tensor;
  return withOperand('where', a, like, (p) =>
    withOperand('where', b, like, (q) => run(whereOp, { cond, a: p, b: q }, {}).y),
  );
}
