import { checkOptions } from '../core/errors.js';
import { type OpCase, type RefArray, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import {
  type ReductionOptions,
  axesOf,
  axisAttrs,
  needReduced,
  outputIndex,
  reducedShapeOfSome,
  reductionCases,
} from './reduction.js';

const cases: readonly OpCase[] = [
  ...reductionCases.map((one) => ({
    ...one,
    inputs: { x: { shape: one.inputs['x'] as readonly number[], draw: 'distinct' as const } },
  })),
  {
    name: 'special values',
    inputs: { x: { shape: [4, 3], values: [NaN, 1, 2, 3, NaN, 4, Infinity, 1, -Infinity, -0, 0, -0] } },
    attrs: { dim: [1], keepdim: false },
    grad: false,
  },
  {
    name: 'NaN by rows',
    inputs: { x: { shape: [3, 4], values: [NaN, 1, 2, 3, 4, NaN, 4, 5, 1, 1, -Infinity, 2] } },
    attrs: { dim: [0], keepdim: false },
    grad: false,
  },
  {
    name: 'nothing to choose from',
    inputs: { x: [3, 0] },
    attrs: { dim: [1], keepdim: false },
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'at least one element' },
  },
  {
    name: 'bench',
    inputs: { x: [128, 32, 32, 64] },
    attrs: { dim: [1, 2], keepdim: false },
    bench: true,
    grad: false,
  },
];

/** The best entry of each output by `better`; NaN wins and stays. */
function best(better: (x: number, y: number) => boolean, op: string) {
  return ({ x }: { x: RefArray }, { y }: { y: RefArray }, { dim }: { dim: readonly number[] }): void => {
    const at = outputIndex(op, x.shape, dim);
    const seen = new Set<number>();
    for (let i = 0; i < x.data.length; i++) {
      const v = x.data[i] as number;
      const k = at(i);
      if (!seen.has(k) || better(v, y.data[k] as number) || Number.isNaN(v)) y.data[k] = v;
      seen.add(k);
    }
  };
}

export const amaxOp = defineOp({
  name: 'amax',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: axisAttrs,
  saves: ['x', 'y'],
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes: ({ x }, axes) => ({ y: reducedShapeOfSome('amax', x, axes) }),
  backward: ({ saved: { x, y }, grads: { y: g }, attrs: { dim } }) => ({
    x: (to) => run(extremeGradOp, { x, y, g }, { dim }, to).dx,
  }),
  reference: best((x, y) => x > y, 'amax'),
  cases,
  cost: ({ x }) => ({ flops: sizeOf(x) }),
});

export const aminOp = defineOp({
  name: 'amin',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: axisAttrs,
  saves: ['x', 'y'],
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes: ({ x }, axes) => ({ y: reducedShapeOfSome('amin', x, axes) }),
  backward: ({ saved: { x, y }, grads: { y: g }, attrs: { dim } }) => ({
    x: (to) => run(extremeGradOp, { x, y, g }, { dim }, to).dx,
  }),
  reference: best((x, y) => x < y, 'amin'),
  cases,
  cost: ({ x }) => ({ flops: sizeOf(x) }),
});

export const extremeGradOp = defineOp({
  name: 'extremeGrad',
  inputs: { x: 'const', y: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { dim: 'ints' },
  shapes({ x, y, g }, { dim }) {
    needReduced('extremeGrad', 'y', y, x, dim);
    needReduced('extremeGrad', 'g', g, x, dim);
    return { dx: x };
  },
  reference({ x, y, g }, { dx }, { dim }) {
    const at = outputIndex('extremeGrad', x.shape, dim);
    const ties = new Float64Array(y.data.length);
    for (let i = 0; i < x.data.length; i++) if (x.data[i] === y.data[at(i)]) ties[at(i)] = (ties[at(i)] as number) + 1;
    for (let i = 0; i < x.data.length; i++) {
      const k = at(i);
      dx.data[i] = x.data[i] === y.data[k] ? (g.data[k] as number) / (ties[k] as number) : 0;
    }
  },
  cases: [
    {
      name: 'ties share',
      inputs: { x: { shape: [2, 4], values: [1, 3, 3, 2, 5, 5, 5, 5] }, y: { shape: [2], values: [3, 5] }, g: [2] },
      attrs: { dim: [1] },
    },
    {
      name: 'ties share, by rows',
      inputs: { x: { shape: [3, 2], values: [1, 3, 1, 2, 0, 3] }, y: { shape: [2], values: [1, 3] }, g: [2] },
      attrs: { dim: [0] },
    },
    {
      name: 'many share',
      inputs: { x: { shape: [700, 2], draw: 'index', below: 3 }, y: { shape: [2], values: [2, 2] }, g: [2] },
      attrs: { dim: [0] },
    },
  ],
});

/**
 * Largest element over the axes `dim` (default all); NaN wins. A gradient for `x`: ties share it evenly.
 *
 * @throws ERR_ARGUMENT for an axis that is not there or named twice, ERR_SHAPE_MISMATCH when a reduced axis is empty
 */
export function amax(x: Tensor, options: ReductionOptions = {}): Tensor {
  checkOptions('amax', options, ['dim', 'keepdim']);
  return run(amaxOp, { x }, axesOf(options)).y;
}

/**
 * Smallest element over the axes `dim` (default all); NaN wins. A gradient for `x`: ties share it evenly.
 *
 * @throws ERR_ARGUMENT for an axis that is not there or named twice, ERR_SHAPE_MISMATCH when a reduced axis is empty
 */
export function amin(x: Tensor, options: ReductionOptions = {}): Tensor {
  checkOptions('amin', options, ['dim', 'keepdim']);
  return run(aminOp, { x }, axesOf(options)).y;
}
