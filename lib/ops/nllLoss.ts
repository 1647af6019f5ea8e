import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type Reduction, checkClasses, classOf, lossShape, reduction } from './lossTarget.js';

export interface NllLossOptions {
  /** One f32 weight a class, `[classes]` (default: all 1). */
  weight?: Tensor;
  /** Rows with this target are not scored (default -100). */
  ignoreIndex?: number;
  /** How the rows' losses become one (default `mean`). */
  reduction?: Reduction;
}

const attrs = { ignoreIndex: 'int', reduction } as const;
const plain = { ignoreIndex: -100, reduction: 'mean' } as const;
const classesOf = (x: Shape): number => x[x.length - 1] as number;
const target = (shape: Shape, below: number) => ({ shape, draw: 'index', below }) as const;

export const nllLossOp = defineOp({
  name: 'nllLoss',
  inputs: { x: 'diff', target: 'const', weight: 'const?' },
  outputs: { loss: 'diff', divisor: 'saved?' },
  attrs,
  inputTypes: { target: 'i32', weight: 'f32' },
  outputTypes: { loss: 'f32', divisor: 'f32' },
  saves: ['x', 'target', 'weight', 'divisor'],
  shapes({ x, target, weight }, { reduction }) {
    checkClasses('nllLoss', x, target, weight);
    return { loss: lossShape(target, reduction), divisor: reduction === 'mean' ? [] : null };
  },
  backward: ({ saved: { x, target, weight, divisor }, attrs, grads: { loss: g } }) => ({
    x: (to) => run(nllLossGradOp, { x, target, weight, divisor, g }, attrs, to).dx,
  }),
  reference({ x, target, weight }, { loss, divisor }, { ignoreIndex, reduction }) {
    const n = classesOf(x.shape);
    let total = 0;
    let count = 0;
    for (let r = 0; r < target.data.length; r++) {
      const y = classOf('nllLoss', target, r, n, ignoreIndex);
      if (y === undefined) continue;
      const w = weight?.data[y] ?? 1;
      const value = -w * (x.data[r * n + y] as number);
      total += value;
      count += w;
      if (reduction === 'none') loss.data[r] = value;
    }
    if (reduction === 'sum') loss.data[0] = total;
    if (reduction === 'mean') {
      loss.data[0] = total / count;
      divisor?.data.fill(count);
    }
  },
  cases: [
    { inputs: { x: [5, 7], target: target([5], 7) }, attrs: plain },
    { inputs: { x: [2, 3, 4], target: target([2, 3], 4) }, attrs: { ...plain, reduction: 'none' } },
    {
      inputs: {
        x: [5, 7],
        target: { shape: [5], values: [0, 3, 6, 3, 1] },
        weight: { shape: [7], draw: 'positive' },
      },
      attrs: { ignoreIndex: 3, reduction: 'mean' },
    },
    { inputs: { x: [5, 7], target: target([5], 7) }, attrs: { ...plain, reduction: 'sum' } },
    { inputs: { x: [0, 4], target: [0] }, attrs: { ...plain, reduction: 'sum' } },
    {
      name: 'special values',
      inputs: { x: { shape: [2, 2], values: [NaN, -Infinity, 1, 2] }, target: { shape: [2], values: [1, 0] } },
      attrs: { ...plain, reduction: 'none' },
      grad: false,
    },
    {
      name: 'targets of another shape',
      inputs: { x: [5, 7], target: [5, 1] },
      attrs: plain,
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'one target a row' },
    },
    { name: 'bench', inputs: { x: [4096, 1000], target: target([4096], 1000) }, attrs: plain, bench: true },
  ],
  cost: ({ target }) => ({ flops: target[0] ?? 1 }),
});

export const nllLossGradOp = defineOp({
  name: 'nllLossGrad',
  // Of x only shape and dtype count.
  inputs: { x: 'const', target: 'const', weight: 'const?', divisor: 'const?', g: 'const' },
  outputs: { dx: 'const' },
  attrs,
  inputTypes: { target: 'i32', weight: 'f32', divisor: 'f32', g: 'f32' },
  shapes({ x, target, weight, divisor, g }, { reduction }) {
    checkClasses('nllLossGrad', x, target, weight);
    needShape('nllLossGrad', 'divisor', divisor, []);
    needShape('nllLossGrad', 'g', g, lossShape(target, reduction));
    return { dx: x };
  },
  reference({ x, target, weight, divisor, g }, { dx }, { ignoreIndex, reduction }) {
    const n = classesOf(x.shape);
    for (let r = 0; r < target.data.length; r++) {
      const y = classOf('nllLossGrad', target, r, n, ignoreIndex);
      if (y === undefined) continue;
      const up = (g.data[reduction === 'none' ? r : 0] as number) / (divisor?.data[0] ?? 1);
      dx.data[r * n + y] = -(weight?.data[y] ?? 1) * up;
    }
  },
  cases: [
    {
      inputs: {
        x: [5, 7],
        target: { shape: [5], values: [0, 3, 6, 3, 1] },
        weight: { shape: [7], draw: 'positive' },
        divisor: { shape: [], values: [3] },
        g: [],
      },
      attrs: { ignoreIndex: 3, reduction: 'mean' },
    },
    { inputs: { x: [3, 4], target: target([3], 4), g: [3] }, attrs: { ...plain, reduction: 'none' } },
  ],
});

/**
 * Negative log-likelihood of class numbers under given log-probabilities: `-w_y x_y` for a row `x` with class `y`.
 * `mean` divides the sum by the sum of `w_y` over the scored rows; with `none` an ignored row gives 0.
 *
 * `x` is `[..., classes]`, f32 or bf16; `target` is i32 `[...]`; the loss is f32. A gradient for `x`. From logits,
 * `crossEntropy` is one pass instead of two.
 *
 * @throws ERR_SHAPE_MISMATCH; ERR_KERNEL, naming the row, for a target that is neither a class nor `ignoreIndex`.
 */
export function nllLoss(x: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  checkOptions('nllLoss', options, ['weight', 'ignoreIndex', 'reduction']);
  return run(
    nllLossOp,
    { x, target, weight: options.weight },
    { ignoreIndex: options.ignoreIndex ?? -100, reduction: options.reduction ?? 'mean' },
  ).loss;
}
