import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type Reduction, checkClasses, classOf, lossShape, reduction } from './lossTarget.js';

export interface CrossEntropyOptions {
  /** One f32 weight a class, `[classes]` (default: all 1). */
  weight?: Tensor;
  /** Share of the target probability spread evenly over all classes, 0 to 1 (default 0). */
  labelSmoothing?: number;
  /** Rows with this target are not scored (default -100). */
  ignoreIndex?: number;
  /** How the rows' losses become one (default `mean`). */
  reduction?: Reduction;
}

const attrs = { labelSmoothing: 'float', ignoreIndex: 'int', reduction } as const;
const plain = { labelSmoothing: 0, ignoreIndex: -100, reduction: 'mean' } as const;
const classesOf = (x: Shape): number => x[x.length - 1] as number;
const target = (shape: Shape, below: number) => ({ shape, draw: 'index', below }) as const;

export const crossEntropyOp = defineOp({
  name: 'crossEntropy',
  inputs: { x: 'diff', target: 'const', weight: 'const?' },
  // stats: each row's maximum and the logarithm of its sum of exponentials from there; divisor: what `mean` divides by.
  outputs: { loss: 'diff', stats: 'saved', divisor: 'saved?' },
  attrs,
  inputTypes: { target: 'i32', weight: 'f32' },
  outputTypes: { loss: 'f32', stats: 'f32', divisor: 'f32' },
  saves: ['x', 'target', 'weight', 'stats', 'divisor'],
  shapes({ x, target, weight }, { labelSmoothing, reduction }) {
    checkClasses('crossEntropy', x, target, weight);
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `crossEntropy: labelSmoothing is ${labelSmoothing}; needs a number from 0 to 1.`,
        { labelSmoothing },
      );
    }
    return {
      loss: lossShape(target, reduction),
      stats: [...target, 2],
      divisor: reduction === 'mean' ? [] : null,
    };
  },
  backward: ({ saved: { x, target, weight, stats, divisor }, attrs, grads: { loss: g } }) => ({
    x: (to) => run(crossEntropyGradOp, { x, target, weight, stats, divisor, g }, attrs, to).dx,
  }),
  reference({ x, target, weight }, { loss, stats, divisor }, { labelSmoothing, ignoreIndex, reduction }) {
    const n = classesOf(x.shape);
    const w = (k: number): number => weight?.data[k] ?? 1;
    let total = 0;
    let count = 0;
    for (let r = 0; r < target.data.length; r++) {
      const row = x.data.subarray(r * n, (r + 1) * n);
      const largest = row.reduce((a, b) => (b > a ? b : a), -Infinity);
      const logSum = Math.log(row.reduce((a, b) => a + Math.exp(b - largest), 0));
      stats.data.set([largest, logSum], 2 * r);
      const y = classOf('crossEntropy', target, r, n, ignoreIndex);
      if (y === undefined) continue;
      const nll = (k: number): number => logSum - ((row[k] as number) - largest);
      let value = (1 - labelSmoothing) * w(y) * nll(y);
      if (labelSmoothing > 0) for (let k = 0; k < n; k++) value += (labelSmoothing / n) * w(k) * nll(k);
      total += value;
      count += w(y);
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
    { inputs: { x: [2, 3, 33], target: target([2, 3], 33) }, attrs: { ...plain, reduction: 'sum' } },
    { inputs: { x: [6, 4], target: target([6], 4) }, attrs: { ...plain, reduction: 'none' } },
    { inputs: { x: [9], target: target([], 9) }, attrs: plain },
    { inputs: { x: [5, 7], target: target([5], 7) }, attrs: { ...plain, labelSmoothing: 0.1 } },
    {
      name: 'weights, smoothing and ignored rows',
      inputs: {
        x: [5, 7],
        target: { shape: [5], values: [0, 3, 6, 3, 1] },
        weight: { shape: [7], draw: 'positive' },
      },
      attrs: { labelSmoothing: 0.2, ignoreIndex: 3, reduction: 'mean' },
    },
    {
      name: 'weights, smoothing and ignored rows, each row',
      inputs: {
        x: [5, 7],
        target: { shape: [5], values: [0, -1, 6, -1, 1] },
        weight: { shape: [7], draw: 'positive' },
      },
      attrs: { labelSmoothing: 0.2, ignoreIndex: -1, reduction: 'none' },
    },
    { inputs: { x: [0, 4], target: [0] }, attrs: { ...plain, reduction: 'sum' }, grad: false },
    { name: 'the mean of no rows is NaN', inputs: { x: [0, 4], target: [0] }, attrs: plain, grad: false },
    {
      inputs: { x: [300, 517], target: target([300], 517) },
      attrs: { ...plain, labelSmoothing: 0.1 },
      grad: false,
    },
    {
      name: 'long rows',
      inputs: { x: [2, 24003], target: target([2], 24003), weight: { shape: [24003], draw: 'positive' } },
      attrs: { ...plain, labelSmoothing: 0.1 },
      grad: false,
    },
    {
      name: 'far from zero',
      inputs: {
        x: { shape: [2, 3], values: [10000, 10001, 9999, -5000, -4999, -5002] },
        target: { shape: [2], values: [1, 0] },
      },
      attrs: plain,
      dtypes: ['f32'],
      grad: false,
    },
    {
      name: 'special values',
      inputs: {
        x: { shape: [4, 3], values: [1, -Infinity, 2, NaN, 0, 1, Infinity, 0, 1, 1, 2, 3] },
        target: { shape: [4], values: [0, 1, 2, -100] },
      },
      attrs: { ...plain, reduction: 'none' },
      grad: false,
    },
    {
      name: 'targets of another shape',
      inputs: { x: [5, 7], target: [4] },
      attrs: plain,
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'one target a row: [5]' },
    },
    {
      name: 'too many class weights',
      inputs: { x: [5, 7], target: [5], weight: [8] },
      attrs: plain,
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'class weights [8]' },
    },
    {
      name: 'smoothing above 1',
      inputs: { x: [5, 7], target: [5] },
      attrs: { ...plain, labelSmoothing: 1.5 },
      refuses: { code: 'ERR_ARGUMENT', says: 'labelSmoothing is 1.5' },
    },
    { name: 'bench', inputs: { x: [4096, 1000], target: target([4096], 1000) }, attrs: plain, bench: true },
  ],
  cost: ({ x }) => ({ flops: 4 * sizeOf(x) }),
});

export const crossEntropyGradOp = defineOp({
  name: 'crossEntropyGrad',
  inputs: { x: 'const', target: 'const', weight: 'const?', stats: 'const', divisor: 'const?', g: 'const' },
  outputs: { dx: 'const' },
  attrs,
  inputTypes: { target: 'i32', weight: 'f32', stats: 'f32', divisor: 'f32', g: 'f32' },
  shapes({ x, target, weight, stats, divisor, g }, { reduction }) {
    checkClasses('crossEntropyGrad', x, target, weight);
    needShape('crossEntropyGrad', 'stats', stats, [...target, 2]);
    needShape('crossEntropyGrad', 'divisor', divisor, []);
    needShape('crossEntropyGrad', 'g', g, lossShape(target, reduction));
    return { dx: x };
  },
  reference({ x, target, weight, stats, divisor, g }, { dx }, { labelSmoothing, ignoreIndex, reduction }) {
    const n = classesOf(x.shape);
    const w = (k: number): number => weight?.data[k] ?? 1;
    for (let r = 0; r < target.data.length; r++) {
      const y = classOf('crossEntropyGrad', target, r, n, ignoreIndex);
      if (y === undefined) continue;
      const up = (g.data[reduction === 'none' ? r : 0] as number) / (divisor?.data[0] ?? 1);
      // The loss is a sum of weighted -log p_k; each of them has the gradient p - onehot(k).
      const parts = Array.from({ length: n }, (_, k) => (labelSmoothing / n) * w(k));
      parts[y] = (parts[y] as number) + (1 - labelSmoothing) * w(y);
      const all = parts.reduce((a, b) => a + b, 0);
      for (let k = 0; k < n; k++) {
        const p = Math.exp(
          (x.data[r * n + k] as number) - (stats.data[2 * r] as number) - (stats.data[2 * r + 1] as number),
        );
        dx.data[r * n + k] = up * (all * p - (parts[k] as number));
      }
    }
  },
  cases: [
    {
      inputs: {
        x: [5, 7],
        target: { shape: [5], values: [0, 3, 6, 3, 1] },
        weight: { shape: [7], draw: 'positive' },
        stats: { shape: [5, 2], draw: 'positive' },
        divisor: { shape: [], values: [3] },
        g: [],
      },
      attrs: { labelSmoothing: 0.2, ignoreIndex: 3, reduction: 'mean' },
    },
    {
      inputs: { x: [5, 33], target: target([5], 33), stats: { shape: [5, 2], draw: 'positive' }, g: [5] },
      attrs: { ...plain, reduction: 'none' },
    },
    {
      name: 'many rows',
      inputs: { x: [1030, 301], target: target([1030], 301), stats: { shape: [1030, 2], draw: 'positive' }, g: [1030] },
      attrs: { ...plain, reduction: 'none' },
    },
    {
      name: 'bench',
      inputs: {
        x: [4096, 1000],
        target: target([4096], 1000),
        stats: { shape: [4096, 2], draw: 'positive' },
        divisor: { shape: [], values: [4096] },
        g: [],
      },
      attrs: plain,
      bench: true,
    },
  ],
  cost: ({ x }) => ({ flops: 4 * sizeOf(x) }),
});

/**
 * Cross-entropy of logits against class numbers, softmax and logarithm fused: for a row of logits `x` with class `y`,
 * `l = -logSoftmax(x)`, `e = labelSmoothing`, `c` classes and class weights `w`,
 *
 *     loss = (1 - e) w_y l_y + (e / c) sum_k w_k l_k
 *
 * `mean` divides the sum by the sum of `w_y` over the scored rows (their number without weights), so that the mean of
 * no row is NaN; with `none` an ignored row gives 0.
 *
 * `x` is `[..., classes]`, f32 or bf16; `target` is i32 `[...]`. The loss is f32: `[]`, or `[...]` with `none`. A
 * gradient for `x` alone; it is computed again from `x` and two numbers a row.
 *
 * @throws ERR_SHAPE_MISMATCH; ERR_ARGUMENT for smoothing outside [0, 1]; ERR_KERNEL, naming the row, for a target that
 * is neither a class nor `ignoreIndex` (raised where the loss is read).
 */
export function crossEntropy(x: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions('crossEntropy', options, ['weight', 'labelSmoothing', 'ignoreIndex', 'reduction']);
  return run(
    crossEntropyOp,
    { x, target, weight: options.weight },
    {
      labelSmoothing: options.labelSmoothing ?? 0,
      ignoreIndex: options.ignoreIndex ?? -100,
      reduction: options.reduction ?? 'mean',
    },
  ).loss;
}
