import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';

export const isFiniteOp = defineOp({
  name: 'isFinite',
  inputs: { x: 'const' },
  outputs: { y: 'const' },
  outputTypes: { y: 'u8' },
  shapes: ({ x }) => ({ y: x }),
  reference({ x }, { y }) {
    for (let i = 0; i < x.data.length; i++) y.data[i] = Number.isFinite(x.data[i]) ? 1 : 0;
  },
  cases: [
    { inputs: { x: [3, 5, 17] } },
    { inputs: { x: [0] } },
    { name: 'special values', inputs: { x: { shape: [6], values: [NaN, Infinity, -Infinity, 0, 3e38, 1e-40] } } },
    { name: 'bench', inputs: { x: [1 << 20] }, bench: true },
  ],
});
/** 1 where `x` is neither infinite nor NaN, else 0, as u8. No gradient. */
export function isFinite(x: Tensor): Tensor<'u8'> {
  return run(isFiniteOp, { x }, {}).y as Tensor<'u8'>;
}

export const allFiniteOp = defineOp({
  name: 'allFinite',
  inputs: { x: 'const' },
  outputs: { y: 'const' },
  outputTypes: { y: 'u8' },
  shapes: () => ({ y: [] }),
  reference({ x }, { y }) {
    y.data[0] = x.data.every(Number.isFinite) ? 1 : 0;
  },
  cases: [
    { inputs: { x: [3, 5, 17] } },
    { inputs: { x: [70001] } },
    { inputs: { x: [] } },
    { inputs: { x: [0] } },
    { name: 'one NaN', inputs: { x: { shape: [65], values: [...new Array<number>(64).fill(1), NaN] } } },
    { name: 'many NaN', inputs: { x: { shape: [5001], values: [1, NaN, 2] } } },
    { name: 'one infinity', inputs: { x: { shape: [9], values: [1, 2, -Infinity, 4, 5, 6, 7, 8, 9] } } },
    { name: 'bench', inputs: { x: [1 << 20] }, bench: true },
  ],
});
/** A u8 scalar: 1 when no element of `x` is infinite or NaN (also when there is no element), else 0. One pass, no gradient. */
export function allFinite(x: Tensor): Tensor<'u8'> {
  return run(allFiniteOp, { x }, {}).y as Tensor<'u8'>;
}
