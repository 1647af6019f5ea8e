import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type Reduction, checkSameShape, lossShape, reduction } from './lossTarget.js';

export interface BceWithLogitsOptions {
  /** Weight of the positive answers, f32 `[n]` for `x` of shape `[..., n]` (default: all 1). */
  posWeight?: Tensor;
  /** How the elements' losses become one (default `mean`). */
  reduction?: Reduction;
}

function check(op: string, x: Shape, target: Shape, posWeight: Shape | undefined): void {
  checkSameShape(op, x, target);
  needShape(op, 'posWeight', posWeight, [x[x.length - 1] ?? 1]);
}

export const bceWithLogitsOp = defineOp({
  name: 'bceWithLogits',
  inputs: { x: 'diff', target: 'const', posWeight: 'const?' },
  outputs: { loss: 'diff' },
  attrs: { reduction },
  inputTypes: { posWeight: 'f32' },
  outputTypes: { loss: 'f32' },
  saves: ['x', 'target', 'posWeight'],
  cast: 'widest',
  shapes({ x, target, posWeight }, { reduction }) {
    check('bceWithLogits', x, target, posWeight);
    return { loss: lossShape(x, reduction) };
  },
  backward: ({ saved: { x, target, posWeight }, attrs, grads: { loss: g } }) => ({
    x: (to) => run(bceWithLogitsGradOp, { x, target, posWeight, g }, attrs, to).dx,
  }),
  reference({ x, target, posWeight }, { loss }, { reduction }) {
    const n = x.shape[x.shape.length - 1] ?? 1;
    let total = 0;
    for (let i = 0; i < x.data.length; i++) {
      const z = x.data[i] as number;
      const t = target.data[i] as number;
      const p = posWeight?.data[i % n] ?? 1;
      // -ln sigmoid(z) is small + max(-z, 0), -ln sigmoid(-z) is small + max(z, 0): nothing cancels, nothing overflows
      const small = Math.log1p(Math.exp(-Math.abs(z)));
      const value = p * t * (small + (z < 0 ? -z : 0)) + (1 - t) * (small + (z > 0 ? z : 0));
      total += value;
      if (reduction === 'none') loss.data[i] = value;
    }
    if (reduction !== 'none') loss.data[0] = reduction === 'mean' ? total / x.data.length : total;
  },
  cases: [
    { inputs: { x: [5, 7], target: { shape: [5, 7], draw: 'uniform01' } }, attrs: { reduction: 'mean' } },
    {
      inputs: { x: [3, 33], target: { shape: [3, 33], draw: 'index' }, posWeight: { shape: [33], draw: 'positive' } },
      attrs: { reduction: 'sum' },
    },
    {
      inputs: { x: [4, 2], target: { shape: [4, 2], draw: 'index' }, posWeight: { shape: [2], draw: 'positive' } },
      attrs: { reduction: 'none' },
    },
    { inputs: { x: [], target: [] }, attrs: { reduction: 'mean' } },
    { inputs: { x: [0, 3], target: [0, 3] }, attrs: { reduction: 'sum' } },
    {
      inputs: { x: [70001], target: { shape: [70001], draw: 'index' } },
      attrs: { reduction: 'mean' },
      grad: false,
    },
    {
      name: 'far out the loss is small but not 0',
      inputs: { x: { shape: [2], values: [20, -20] }, target: { shape: [2], values: [1, 0] } },
      attrs: { reduction: 'none' },
    },
    {
      name: 'special values',
      inputs: {
        x: { shape: [4], values: [NaN, Infinity, -Infinity, -100] },
        target: { shape: [4], values: [0, 0, 1, 1] },
      },
      attrs: { reduction: 'none' },
      grad: false,
    },
    {
      name: 'posWeight of another length',
      inputs: { x: [3, 4], target: [3, 4], posWeight: [3] },
      attrs: { reduction: 'mean' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'posWeight of shape [3]' },
    },
    { name: 'bench', inputs: { x: [1 << 20], target: [1 << 20] }, attrs: { reduction: 'mean' }, bench: true },
  ],
  cost: ({ x }) => ({ flops: 8 * sizeOf(x) }),
});

export const bceWithLogitsGradOp = defineOp({
  name: 'bceWithLogitsGrad',
  inputs: { x: 'const', target: 'const', posWeight: 'const?', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { reduction },
  inputTypes: { posWeight: 'f32', g: 'f32' },
  shapes({ x, target, posWeight, g }, { reduction }) {
    check('bceWithLogitsGrad', x, target, posWeight);
    needShape('bceWithLogitsGrad', 'g', g, lossShape(x, reduction));
    return { dx: x };
  },
  reference({ x, target, posWeight, g }, { dx }, { reduction }) {
    const n = x.shape[x.shape.length - 1] ?? 1;
    const count = reduction === 'mean' ? x.data.length : 1;
    for (let i = 0; i < x.data.length; i++) {
      const t = target.data[i] as number;
      const p = posWeight?.data[i % n] ?? 1;
      const up = (g.data[reduction === 'none' ? i : 0] as number) / count;
      const z = x.data[i] as number;
      dx.data[i] = up * ((1 - t) / (1 + Math.exp(-z)) - (p * t) / (1 + Math.exp(z)));
    }
  },
  cases: [
    {
      inputs: { x: [5, 7], target: [5, 7], posWeight: { shape: [7], draw: 'positive' }, g: [] },
      attrs: { reduction: 'mean' },
    },
    { inputs: { x: [5, 7], target: [5, 7], g: [5, 7] }, attrs: { reduction: 'none' } },
    { name: 'bench', inputs: { x: [1 << 20], target: [1 << 20], g: [] }, attrs: { reduction: 'mean' }, bench: true },
  ],
});

/**
 * Binary cross-entropy of logits, sigmoid and logarithm fused: with `s = sigmoid(x)` and positive weight `p`,
 * `-(p t ln s + (1 - t) ln(1 - s))` for each element and its target `t`; its mean, its sum or each element's.
 *
 * `x` and `target` have equal shapes, f32 or bf16, `target` from 0 to 1; the loss is f32, `[]` or (with `none`) the
 * shape of `x`. A gradient for `x`.
 *
 * @throws ERR_SHAPE_MISMATCH when the shapes differ or `posWeight` is not `[last axis]`.
 */
export function bceWithLogits(x: Tensor, target: Tensor, options: BceWithLogitsOptions = {}): Tensor {
  checkOptions('bceWithLogits', options, ['posWeight', 'reduction']);
  return run(bceWithLogitsOp, { x, target, posWeight: options.posWeight }, { reduction: options.reduction ?? 'mean' })
    .loss;
}
