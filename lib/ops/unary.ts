import { defineOp, type OpCase } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { mul } from './binary.js';
import { pointwise } from './pointwise.js';

const special: OpCase = {
  name: 'special values',
  inputs: { x: { shape: [9], values: [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-30, -80] } },
  grad: false,
};
const shapes: readonly OpCase[] = [
  { inputs: { x: [] } },
  { inputs: { x: [0, 3] } },
  { inputs: { x: [7] } },
  { inputs: { x: [3, 5, 17] } },
  special,
];

export const negOp = defineOp({
  name: 'neg',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  shapes: ({ x }) => ({ y: x }),
  backward: ({ grads: { y: g } }) => ({ x: () => neg(g) }),
  reference: pointwise((x) => -x),
  cases: [...shapes, { name: 'bench', inputs: { x: [1 << 20] }, bench: true, grad: false }],
});
/** `y = -x`, any shape. */
export function neg(x: Tensor): Tensor {
  return run(negOp, { x }, {}).y;
}

export const expOp = defineOp({
  name: 'exp',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  saves: ['y'],
  shapes: ({ x }) => ({ y: x }),
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => mul(g, y) }),
  reference: pointwise(Math.exp),
  cases: [...shapes, { name: 'bench', inputs: { x: [1 << 20] }, bench: true, grad: false }],
});
/** `y = e^x`, any shape. */
export function exp(x: Tensor): Tensor {
  return run(expOp, { x }, {}).y;
}
