import { defineOp, type Thunk } from '../core/op.js';
import { run } from '../core/run.js';
import { broadcastShapes, sameShape, shapeError, showShape, type Shape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { broadcastIndex } from './pointwise.js';

export const sumToOp = defineOp({
  name: 'sumTo',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { shape: 'ints' },
  accumulates: true,
  shapes({ x }, { shape }) {
    if (!sameShape(broadcastShapes('sumTo', shape, x), x)) {
      throw shapeError('sumTo', `shape ${showShape(x)}`, `a shape that ${showShape(shape)} broadcasts to`);
    }
    return { y: shape };
  },
  backward: ({ grads: { y: g }, inputs: { x } }) => ({ x: () => run(broadcastToOp, { x: g }, { shape: x.shape }).y }),
  reference({ x }, { y }) {
    const at = broadcastIndex(y.shape, x.shape);
    for (let i = 0; i < x.data.length; i++) y.data[at(i)] = (y.data[at(i)] as number) + (x.data[i] as number);
  },
  cases: [
    { inputs: { x: [2, 3, 4] }, attrs: { shape: [4] } },
    { inputs: { x: [2, 3, 4] }, attrs: { shape: [2, 1, 4] } },
    { inputs: { x: [2, 3] }, attrs: { shape: [] } },
    { inputs: { x: [3, 4] }, attrs: { shape: [3, 4] } },
    { inputs: { x: [0, 4] }, attrs: { shape: [4] } },
    { inputs: { x: [1501, 2, 37] }, attrs: { shape: [37] }, grad: false },
    { inputs: { x: [5, 3001] }, attrs: { shape: [5, 1] }, grad: false },
    { name: 'bench', inputs: { x: [128, 32, 32, 64] }, attrs: { shape: [64] }, bench: true, grad: false },
    { inputs: { x: [3, 4] }, attrs: { shape: [3] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'sumTo' } },
  ],
});

export const broadcastToOp = defineOp({
  name: 'broadcastTo',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { shape: 'ints' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes({ x }, { shape }) {
    if (!sameShape(broadcastShapes('broadcastTo', x, shape), shape)) {
      throw shapeError('broadcastTo', `shape ${showShape(x)}`, `a shape that broadcasts to ${showShape(shape)}`);
    }
    return { y: shape };
  },
  backward: ({ grads: { y: g }, inputs: { x } }) => ({ x: sumThunk(g, x.shape) }),
  reference({ x }, { y }) {
    const at = broadcastIndex(x.shape, y.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[at(i)] as number;
  },
  cases: [
    { inputs: { x: [4] }, attrs: { shape: [2, 3, 4] } },
    { inputs: { x: [2, 1] }, attrs: { shape: [2, 5] } },
    { inputs: { x: [] }, attrs: { shape: [3] } },
    { inputs: { x: [2, 3] }, attrs: { shape: [3, 3] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'broadcast' } },
  ],
});

/** Sums over the axes that broadcasting `shape` to the shape of `x` repeated: the adjoint of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  return run(sumToOp, { x }, { shape }).y;
}
/** Repeats `x` to `shape` (NumPy's rule); copies. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return run(broadcastToOp, { x }, { shape }).y;
}
/**
 * `broadcastTo` where an extent -1 keeps the one of `x`; copies. A gradient for `x`.
 *
 * @throws ERR_SHAPE_MISMATCH when `x` does not broadcast to `shape`
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  const skip = shape.length - x.rank;
  return broadcastTo(
    x,
    shape.map((n, d) => (n === -1 ? (x.shape[d - skip] ?? -1) : n)),
  );
}

/** The gradient of a broadcast operand. Without a broadcast it is the upstream gradient itself. */
export function sumThunk(g: Tensor, shape: Shape): Thunk {
  return (to) => (sameShape(g.shape, shape) ? g : run(sumToOp, { x: g }, { shape }, to).y);
}
