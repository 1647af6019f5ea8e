import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { broadcastTo } from './broadcast.js';
import {
  type ReductionOptions,
  axesOf,
  axisAttrs,
  keptShape,
  needReduced,
  outputIndex,
  reducedShape,
  reductionCases,
  termsOf,
} from './reduction.js';
import { reshape } from './reshape.js';

const special = {
  name: 'special values',
  inputs: { x: { shape: [3, 4], values: [NaN, 1, 2, 3, Infinity, 1, 1, 1, Infinity, -Infinity, 0, 0] } },
  attrs: { dim: [1], keepdim: false },
  grad: false,
  dtypes: ['f32', 'bf16'],
} as const;
const bench = { name: 'bench', inputs: { x: [128, 32, 32, 64] }, bench: true, grad: false } as const;

export const sumOp = defineOp({
  name: 'sum',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: axisAttrs,
  types: ['f32', 'bf16', 'i32', 'u8'],
  outputTypes: { y: ({ x }) => (x === 'u8' ? 'i32' : (x ?? 'f32')) },
  shapes: ({ x }, axes) => ({ y: reducedShape('sum', x, axes) }),
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { dim } }) => ({
    x: () => broadcastTo(reshape(g, keptShape('sum', x.shape, dim)), x.shape),
  }),
  reference({ x }, { y }, { dim }) {
    const at = outputIndex('sum', x.shape, dim);
    for (let i = 0; i < x.data.length; i++) y.data[at(i)] = (y.data[at(i)] as number) + (x.data[i] as number);
  },
  cases: [...reductionCases, special, { ...bench, attrs: { dim: [], keepdim: false } }],
  cost: ({ x }) => ({ flops: sizeOf(x) }),
});

export const meanOp = defineOp({
  name: 'mean',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: axisAttrs,
  shapes: ({ x }, axes) => ({ y: reducedShape('mean', x, axes) }),
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { dim } }) => ({
    x: (to) => run(meanGradOp, { g }, { dim, shape: x.shape }, to).dx,
  }),
  reference({ x }, { y }, { dim }) {
    const at = outputIndex('mean', x.shape, dim);
    const n = termsOf('mean', x.shape, dim);
    for (let i = 0; i < x.data.length; i++) y.data[at(i)] = (y.data[at(i)] as number) + (x.data[i] as number);
    for (let i = 0; i < y.data.length; i++) y.data[i] = (y.data[i] as number) / n;
  },
  cases: [
    ...reductionCases,
    special,
    { inputs: { x: [3, 0] }, attrs: { dim: [1], keepdim: false }, grad: false },
    { ...bench, attrs: { dim: [1, 2], keepdim: false } },
  ],
  cost: ({ x }) => ({ flops: sizeOf(x) }),
});

export const meanGradOp = defineOp({
  name: 'meanGrad',
  inputs: { g: 'const' },
  outputs: { dx: 'const' },
  attrs: { dim: 'ints', shape: 'ints' },
  shapes({ g }, { dim, shape }) {
    needReduced('meanGrad', 'g', g, shape, dim);
    return { dx: shape };
  },
  reference({ g }, { dx }, { dim, shape }) {
    const at = outputIndex('meanGrad', shape, dim);
    const n = termsOf('meanGrad', shape, dim);
    for (let i = 0; i < dx.data.length; i++) dx.data[i] = (g.data[at(i)] as number) / n;
  },
  cases: [
    { inputs: { g: [3] }, attrs: { dim: [1], shape: [3, 5] } },
    { inputs: { g: [1, 5] }, attrs: { dim: [0], shape: [3, 5] } },
    { inputs: { g: [] }, attrs: { dim: [], shape: [3, 5] } },
  ],
});

/**
 * Sum of `x` over the axes `dim` (default all): `y = sum_dim x`. A gradient for `x`. Accumulates in double. An i32 or
 * u8 tensor gives i32. Over no elements the sum is 0.
 *
 * @throws ERR_ARGUMENT when an axis is outside the tensor or named twice
 */
export function sum(x: Tensor, options: ReductionOptions = {}): Tensor {
  checkOptions('sum', options, ['dim', 'keepdim']);
  return run(sumOp, { x }, axesOf(options)).y;
}

/**
 * Mean of `x` over the axes `dim` (default all): `y = sum_dim x / n`. A gradient for `x`. Accumulates in double. Over
 * no elements the mean is NaN.
 *
 * @throws ERR_ARGUMENT when an axis is outside the tensor or named twice
 */
export function mean(x: Tensor, options: ReductionOptions = {}): Tensor {
  checkOptions('mean', options, ['dim', 'keepdim']);
  return run(meanOp, { x }, axesOf(options)).y;
}
