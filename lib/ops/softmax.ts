import { defineOp, type OpCase, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, normalAxis, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

/** Calls `line(first, step, n)` for every line of elements along `dim`. */
function forLines(shape: Shape, dim: number, line: (first: number, step: number, n: number) => void): void {
  const axis = normalAxis('softmax', dim, shape.length);
  const n = shape[axis] ?? 1;
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) line(o * n * inner + i, inner, n);
}

function logSoftmaxReference(x: RefArray, y: RefArray, dim: number, finish: (logP: number) => number): void {
  forLines(x.shape, dim, (first, step, n) => {
    let largest = -Infinity;
    for (let i = 0; i < n; i++) largest = Math.max(largest, x.data[first + i * step] as number);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += Math.exp((x.data[first + i * step] as number) - largest);
    const logSum = Math.log(sum);
    for (let i = 0; i < n; i++)
      y.data[first + i * step] = finish((x.data[first + i * step] as number) - largest - logSum);
  });
}

function gradShapes(name: string, y: Shape, g: Shape): { dx: Shape } {
  needShape(name, 'g', g, y);
  return { dx: y };
}

const cases: readonly OpCase[] = [
  { inputs: { x: [3, 7] }, attrs: { dim: 1 } },
  { inputs: { x: [5, 3] }, attrs: { dim: -2 } },
  { inputs: { x: [2, 9, 70] }, attrs: { dim: 1 } },
  { inputs: { x: [2, 3, 1] }, attrs: { dim: 2 } },
  { inputs: { x: [] }, attrs: { dim: 0 } },
  { inputs: { x: [0, 4] }, attrs: { dim: 1 } },
  { inputs: { x: [4, 0] }, attrs: { dim: 1 } },
  { inputs: { x: [3, 1025] }, attrs: { dim: -1 }, grad: false },
  { name: 'many lines', inputs: { x: [1030, 301] }, attrs: { dim: 1 }, grad: false },
  { name: 'long lines', inputs: { x: [2, 24003] }, attrs: { dim: 1 }, grad: false },
  {
    name: 'far from zero',
    inputs: { x: { shape: [2, 4], values: [10000, 10001, 9999, 9000, -10000, -10001, -9999, -9000] } },
    attrs: { dim: 1 },
    grad: false,
    dtypes: ['f32'],
  },
  {
    name: 'special values',
    inputs: {
      x: {
        shape: [4, 3],
        values: [1, -Infinity, 2, NaN, 0, 1, Infinity, 0, 1, -Infinity, -Infinity, -Infinity],
      },
    },
    attrs: { dim: 1 },
    grad: false,
  },
  {
    name: 'special values, across',
    inputs: { x: { shape: [2, 5], values: [1, NaN, Infinity, -Infinity, -Infinity, -Infinity, 0, 1, -Infinity, 3] } },
    attrs: { dim: 0 },
    grad: false,
  },
  {
    name: 'an axis that is not there',
    inputs: { x: [2, 3] },
    attrs: { dim: 2 },
    refuses: { code: 'ERR_ARGUMENT', says: 'rank 2' },
  },
  { name: 'bench', inputs: { x: [4096, 1024] }, attrs: { dim: 1 }, bench: true, grad: false },
];

const gradCases: readonly OpCase[] = [
  { inputs: { y: [3, 7], g: [3, 7] }, attrs: { dim: 1 } },
  { inputs: { y: [5, 3, 33], g: [5, 3, 33] }, attrs: { dim: 1 } },
  { inputs: { y: [0, 2], g: [0, 2] }, attrs: { dim: 0 } },
  { name: 'many lines', inputs: { y: [1030, 301], g: [1030, 301] }, attrs: { dim: 1 } },
  { name: 'long lines', inputs: { y: [2, 12007], g: [2, 12007] }, attrs: { dim: 1 } },
  { inputs: { y: [3, 7], g: [7] }, attrs: { dim: 1 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'needs [3, 7]' } },
  { name: 'bench', inputs: { y: [4096, 1024], g: [4096, 1024] }, attrs: { dim: 1 }, bench: true, grad: false },
];

export const softmaxOp = defineOp({
  name: 'softmax',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  saves: ['y'],
  shapes({ x }, { dim }) {
    normalAxis('softmax', dim, x.length);
    return { y: x };
  },
  backward: ({ saved: { y }, attrs, grads: { y: g } }) => ({ x: () => run(softmaxGradOp, { y, g }, attrs).dx }),
  reference: ({ x }, { y }, { dim }) => logSoftmaxReference(x, y, dim, Math.exp),
  cases,
  cost: ({ x }) => ({ flops: 4 * sizeOf(x) }),
});

export const softmaxGradOp = defineOp({
  name: 'softmaxGrad',
  inputs: { y: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { dim: 'int' },
  shapes: ({ y, g }) => gradShapes('softmaxGrad', y, g),
  reference({ y, g }, { dx }, { dim }) {
    forLines(y.shape, dim, (first, step, n) => {
      let dot = 0;
      for (let i = first; i < first + n * step; i += step) dot += (y.data[i] as number) * (g.data[i] as number);
      for (let i = first; i < first + n * step; i += step)
        dx.data[i] = (y.data[i] as number) * ((g.data[i] as number) - dot);
    });
  },
  cases: gradCases,
  cost: ({ y }) => ({ flops: 4 * sizeOf(y) }),
});

export const logSoftmaxOp = defineOp({
  name: 'logSoftmax',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  saves: ['y'],
  shapes({ x }, { dim }) {
    normalAxis('logSoftmax', dim, x.length);
    return { y: x };
  },
  backward: ({ saved: { y }, attrs, grads: { y: g } }) => ({ x: () => run(logSoftmaxGradOp, { y, g }, attrs).dx }),
  reference: ({ x }, { y }, { dim }) => logSoftmaxReference(x, y, dim, (logP) => logP),
  cases,
  cost: ({ x }) => ({ flops: 4 * sizeOf(x) }),
});

export const logSoftmaxGradOp = defineOp({
  name: 'logSoftmaxGrad',
  inputs: { y: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { dim: 'int' },
  shapes: ({ y, g }) => gradShapes('logSoftmaxGrad', y, g),
  reference({ y, g }, { dx }, { dim }) {
    forLines(y.shape, dim, (first, step, n) => {
      let sum = 0;
      for (let i = first; i < first + n * step; i += step) sum += g.data[i] as number;
      for (let i = first; i < first + n * step; i += step)
        dx.data[i] = (g.data[i] as number) - Math.exp(y.data[i] as number) * sum;
    });
  },
  cases: gradCases,
  cost: ({ y }) => ({ flops: 4 * sizeOf(y) }),
});

/**
 * `y_i = e^(x_i) / sum_j e^(x_j)` along the axis `dim` (default the last), computed from `x - max(x)`, so that nothing
 * overflows. Any shape; a gradient for `x`. A line with a NaN, with `+infinity`, or with nothing but `-infinity` is NaN.
 *
 * @throws ERR_ARGUMENT when there is no such axis.
 */
export function softmax(x: Tensor, dim = -1): Tensor {
  return run(softmaxOp, { x }, { dim: normalAxis('softmax', dim, x.rank) }).y;
}

/**
 * `y_i = x_i - ln sum_j e^(x_j)` along the axis `dim` (default the last): the logarithm of `softmax`, exact where the
 * softmax itself would round to 0. Any shape; a gradient for `x`.
 *
 * @throws ERR_ARGUMENT when there is no such axis.
 */
export function logSoftmax(x: Tensor, dim = -1): Tensor {
  return run(logSoftmaxOp, { x }, { dim: normalAxis('logSoftmax', dim, x.rank) }).y;
}
