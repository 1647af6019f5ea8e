import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { needShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type Reduction, checkSameShape, lossShape, reduction } from './lossTarget.js';

export interface MseLossOptions {
  /** How the elements' losses become one (default `mean`). */
  reduction?: Reduction;
}

export const mseLossOp = defineOp({
  name: 'mseLoss',
  inputs: { x: 'diff', target: 'diff' },
  outputs: { loss: 'diff' },
  attrs: { reduction },
  outputTypes: { loss: 'f32' },
  saves: ['x', 'target'],
  cast: 'widest',
  shapes({ x, target }, { reduction }) {
    checkSameShape('mseLoss', x, target);
    return { loss: lossShape(x, reduction) };
  },
  backward: ({ saved: { x, target }, attrs, grads: { loss: g } }) => ({
    x: (to) => run(mseLossGradOp, { x, target, g }, attrs, to).dx,
    target: (to) => run(mseLossGradOp, { x: target, target: x, g }, attrs, to).dx,
  }),
  reference({ x, target }, { loss }, { reduction }) {
    let total = 0;
    for (let i = 0; i < x.data.length; i++) {
      const square = ((x.data[i] as number) - (target.data[i] as number)) ** 2;
      total += square;
      if (reduction === 'none') loss.data[i] = square;
    }
    if (reduction !== 'none') loss.data[0] = reduction === 'mean' ? total / x.data.length : total;
  },
  cases: [
    { inputs: { x: [5, 7], target: [5, 7] }, attrs: { reduction: 'mean' } },
    { inputs: { x: [3, 33], target: [3, 33] }, attrs: { reduction: 'sum' } },
    { inputs: { x: [4, 2], target: [4, 2] }, attrs: { reduction: 'none' } },
    { inputs: { x: [], target: [] }, attrs: { reduction: 'mean' } },
    { inputs: { x: [0, 3], target: [0, 3] }, attrs: { reduction: 'sum' } },
    { name: 'the mean of nothing is NaN', inputs: { x: [0], target: [0] }, attrs: { reduction: 'mean' }, grad: false },
    { inputs: { x: [70001], target: [70001] }, attrs: { reduction: 'mean' }, grad: false },
    {
      name: 'special values',
      inputs: { x: { shape: [4], values: [NaN, Infinity, -Infinity, 1] }, target: [4] },
      attrs: { reduction: 'none' },
      grad: false,
    },
    {
      name: 'shapes that differ',
      inputs: { x: [3, 1], target: [3] },
      attrs: { reduction: 'mean' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[3, 1] and [3]' },
    },
    { name: 'bench', inputs: { x: [1 << 20], target: [1 << 20] }, attrs: { reduction: 'mean' }, bench: true },
  ],
  cost: ({ x }) => ({ flops: 3 * sizeOf(x) }),
});

export const mseLossGradOp = defineOp({
  name: 'mseLossGrad',
  inputs: { x: 'const', target: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { reduction },
  inputTypes: { g: 'f32' },
  shapes({ x, target, g }, { reduction }) {
    checkSameShape('mseLossGrad', x, target);
    needShape('mseLossGrad', 'g', g, lossShape(x, reduction));
    return { dx: x };
  },
  reference({ x, target, g }, { dx }, { reduction }) {
    const n = reduction === 'mean' ? x.data.length : 1;
    for (let i = 0; i < x.data.length; i++) {
      const up = g.data[reduction === 'none' ? i : 0] as number;
      dx.data[i] = (2 * up * ((x.data[i] as number) - (target.data[i] as number))) / n;
    }
  },
  cases: [
    { inputs: { x: [5, 7], target: [5, 7], g: [] }, attrs: { reduction: 'mean' } },
    { inputs: { x: [5, 7], target: [5, 7], g: [5, 7] }, attrs: { reduction: 'none' } },
    { name: 'bench', inputs: { x: [1 << 20], target: [1 << 20], g: [] }, attrs: { reduction: 'mean' }, bench: true },
  ],
});

/**
 * Squared error `(x - target)^2`, its mean, its sum or each element's.
 *
 * Equal shapes, f32 or bf16; the loss is f32, `[]` or (with `none`) the shape of `x`. A gradient for both.
 *
 * @throws ERR_SHAPE_MISMATCH when the shapes differ: nothing is broadcast, a loss over `[n, n]` is never meant.
 */
export function mseLoss(x: Tensor, target: Tensor, options: MseLossOptions = {}): Tensor {
  checkOptions('mseLoss', options, ['reduction']);
  return run(mseLossOp, { x, target }, { reduction: options.reduction ?? 'mean' }).loss;
}
