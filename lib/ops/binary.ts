import { defineOp, type OpCase } from '../core/op.js';
import { run } from '../core/run.js';
import { broadcastShapes } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sumThunk, sumTo } from './broadcast.js';
import { pointwise2 } from './pointwise.js';

const broadcasts: readonly OpCase[] = [
  { inputs: { a: [4, 5], b: [4, 5] } },
  { inputs: { a: [], b: [3] } },
  { inputs: { a: [2, 3, 4], b: [4] } },
  { inputs: { a: [2, 1, 4], b: [3, 1] } },
  { inputs: { a: [5, 1], b: [1, 6] } },
  { inputs: { a: [0, 3], b: [3] } },
  {
    name: 'shapes that do not broadcast',
    inputs: { a: [2, 3], b: [4] },
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
  },
];

export const addOp = defineOp({
  name: 'add',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  shapes: ({ a, b }) => ({ y: broadcastShapes('add', a, b) }),
  backward: ({ grads: { y: g }, inputs: { a, b } }) => ({ a: sumThunk(g, a.shape), b: sumThunk(g, b.shape) }),
  reference: pointwise2((a, b) => a + b),
  cases: [...broadcasts, { name: 'bench', inputs: { a: [1 << 20], b: [1 << 20] }, bench: true, grad: false }],
  aliases: { y: 'a' },
});
/** `y = a + b`, broadcasting; a gradient for both. */
export function add(a: Tensor, b: Tensor): Tensor {
  return run(addOp, { a, b }, {}).y;
}
/** `a += b` in place; `b` broadcasts to the shape of `a`. */
export function add_(a: Tensor, b: Tensor): Tensor {
  return run(addOp, { a, b }, {}, { into: a }).y;
}

export const mulOp = defineOp({
  name: 'mul',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  saves: ['a', 'b'],
  shapes: ({ a, b }) => ({ y: broadcastShapes('mul', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: () => sumTo(mul(g, b), a.shape),
    b: () => sumTo(mul(g, a), b.shape),
  }),
  reference: pointwise2((a, b) => a * b),
  cases: [...broadcasts, { name: 'bench', inputs: { a: [1 << 20], b: [1 << 20] }, bench: true, grad: false }],
});
/** `y = a b`, element by element, broadcasting; a gradient for both. */
export function mul(a: Tensor, b: Tensor): Tensor {
  return run(mulOp, { a, b }, {}).y;
}
