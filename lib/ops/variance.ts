import { checkOptions } from '../core/errors.js';
import { type AttrValues, type RefArray, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import {
  type ReductionOptions,
  axesOf,
  axisAttrs,
  needReduced,
  outputIndex,
  reducedShape,
  reductionCases,
  termsOf,
  withAttrs,
} from './reduction.js';

export interface VarianceOptions extends ReductionOptions {
  /** Taken from the number of elements before dividing: 1 (default) for the unbiased estimate, 0 for the plain mean. */
  correction?: number;
}

const attrs = { ...axisAttrs, correction: 'float' } as const;

/** Two passes in float64: the mean, then the squared distances from it. */
function referenceVariance(
  x: RefArray,
  y: RefArray,
  mean: RefArray,
  { dim, correction }: AttrValues<typeof attrs>,
): void {
  const at = outputIndex('var', x.shape, dim);
  const n = termsOf('var', x.shape, dim);
  for (let i = 0; i < x.data.length; i++) mean.data[at(i)] = (mean.data[at(i)] as number) + (x.data[i] as number) / n;
  if (n === 0) mean.data.fill(NaN);
  for (let i = 0; i < x.data.length; i++) {
    const d = (x.data[i] as number) - (mean.data[at(i)] as number);
    y.data[at(i)] = (y.data[at(i)] as number) + d * d;
  }
  for (let i = 0; i < y.data.length; i++) y.data[i] = (y.data[i] as number) / Math.max(0, n - correction);
}

const cases = [
  ...withAttrs(reductionCases, { correction: 1 }),
  { inputs: { x: [4, 5] }, attrs: { dim: [1], keepdim: false, correction: 0 } },
  { inputs: { x: [4, 1] }, attrs: { dim: [1], keepdim: false, correction: 1 }, grad: false },
  {
    name: 'a mean far from zero',
    inputs: { x: { shape: [2, 6], values: [70001, 70002, 70004, 70003, 70001, 70000] } },
    attrs: { dim: [1], keepdim: false, correction: 1 },
    dtypes: ['f32'],
    grad: false,
  },
  {
    name: 'special values',
    inputs: { x: { shape: [3, 3], values: [NaN, 1, 2, 1, Infinity, 1, 5, 5, 5] } },
    attrs: { dim: [1], keepdim: false, correction: 1 },
    grad: false,
  },
  {
    name: 'bench',
    inputs: { x: [128, 32, 32, 64] },
    attrs: { dim: [0, 1, 2], keepdim: false, correction: 1 },
    bench: true,
    grad: false,
  },
] as const;

export const varOp = defineOp({
  name: 'var',
  inputs: { x: 'diff' },
  outputs: { y: 'diff', mean: 'saved' },
  outputTypes: { mean: 'f32' },
  attrs,
  saves: ['x', 'mean'],
  shapes({ x }, axes) {
    const y = reducedShape('var', x, axes);
    return { y, mean: y };
  },
  backward: ({ saved: { x, mean }, grads: { y: g }, attrs: { dim, correction } }) => ({
    x: (to) => run(varGradOp, { x, mean, g }, { dim, correction }, to).dx,
  }),
  reference: ({ x }, { y, mean }, attrs) => referenceVariance(x, y, mean, attrs),
  cases,
  cost: ({ x }) => ({ flops: 3 * sizeOf(x) }),
});

export const stdOp = defineOp({
  name: 'std',
  inputs: { x: 'diff' },
  outputs: { y: 'diff', mean: 'saved' },
  outputTypes: { mean: 'f32' },
  attrs,
  saves: ['x', 'y', 'mean'],
  shapes({ x }, axes) {
    const y = reducedShape('std', x, axes);
    return { y, mean: y };
  },
  backward: ({ saved: { x, y, mean }, grads: { y: g }, attrs: { dim, correction } }) => ({
    x: (to) => run(varGradOp, { x, mean, g, std: y }, { dim, correction }, to).dx,
  }),
  reference({ x }, { y, mean }, attrs) {
    referenceVariance(x, y, mean, attrs);
    for (let i = 0; i < y.data.length; i++) y.data[i] = Math.sqrt(y.data[i] as number);
  },
  cases,
  tolerance: { f32: 1e-5, bf16: 2e-2, why: 'the gradient divides by a standard deviation rounded to bf16' },
  cost: ({ x }) => ({ flops: 3 * sizeOf(x) }),
});

export const varGradOp = defineOp({
  name: 'varGrad',
  inputs: { x: 'const', mean: 'const', g: 'const', std: 'const?' },
  inputTypes: { mean: 'f32' },
  outputs: { dx: 'const' },
  attrs: { dim: 'ints', correction: 'float' },
  shapes({ x, mean, g, std }, { dim }) {
    needReduced('varGrad', 'mean', mean, x, dim);
    needReduced('varGrad', 'g', g, x, dim);
    needReduced('varGrad', 'std', std, x, dim);
    return { dx: x };
  },
  reference({ x, mean, g, std }, { dx }, { dim, correction }) {
    const at = outputIndex('varGrad', x.shape, dim);
    const n = Math.max(0, termsOf('varGrad', x.shape, dim) - correction);
    for (let i = 0; i < dx.data.length; i++) {
      const k = at(i);
      // d std / dx is d var / dx over 2 std; where std is 0 it is taken as 0.
      const scale = std === undefined ? 2 : std.data[k] === 0 ? 0 : 1 / (std.data[k] as number);
      dx.data[i] = (((g.data[k] as number) * scale) / n) * ((x.data[i] as number) - (mean.data[k] as number));
    }
  },
  cases: [
    { inputs: { x: [3, 5], mean: [3], g: [3] }, attrs: { dim: [1], correction: 1 } },
    {
      inputs: { x: [3, 5], mean: [5], g: [5], std: { shape: [5], draw: 'positive' } },
      attrs: { dim: [0], correction: 0 },
    },
    {
      inputs: { x: [2, 2], mean: [2], g: [2], std: { shape: [2], values: [0, 1] } },
      attrs: { dim: [1], correction: 1 },
    },
  ],
});

function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  checkOptions('var', options, ['dim', 'keepdim', 'correction']);
  return run(varOp, { x }, { ...axesOf(options), correction: options.correction ?? 1 }).y;
}

/**
 * Standard deviation over the axes `dim` (default all): `y = sqrt(var(x))`. A gradient for `x`; 0 where the deviation
 * is 0.
 *
 * @throws ERR_ARGUMENT when an axis is outside the tensor or named twice
 */
export function std(x: Tensor, options: VarianceOptions = {}): Tensor {
  checkOptions('std', options, ['dim', 'keepdim', 'correction']);
  return run(stdOp, { x }, { ...axesOf(options), correction: options.correction ?? 1 }).y;
}

export {
  /**
   * Variance over the axes `dim` (default all): `y = sum_dim (x - mean)^2 / (n - correction)`. A gradient for `x`.
   * Computed in double in one pass, about the first element. NaN where `n` is not above `correction`.
   *
   * @throws ERR_ARGUMENT when an axis is outside the tensor or named twice
   */
  variance as var,
};
