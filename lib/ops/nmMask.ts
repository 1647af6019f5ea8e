import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { boundary, checkTau, softMaskAt } from './softMask.js';

const largestGroup = 64;

function checkGroups(op: string, w: Shape, n: number, m: number): void {
  if (!Number.isInteger(n) || !Number.isInteger(m) || n < 1 || n > m || m > largestGroup) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `${op}: ${n} of ${m}; needs whole numbers, 1 <= n <= m <= ${largestGroup}.`,
      {
        n,
        m,
      },
    );
  }
  const last = w[w.length - 1];
  if (last === undefined || last % m !== 0)
    throw shapeError(op, `shape ${showShape(w)}`, `a last axis that is a multiple of m = ${m}; leave this weight out`);
}

/** The positions of each group in ascending magnitude; equal ones by index, NaN last. */
function* sortedGroups(w: RefArray, m: number): Generator<number[]> {
  const key = (i: number): number => (Number.isNaN(w.data[i]) ? 1 : 0);
  for (let begin = 0; begin < w.data.length; begin += m) {
    yield Array.from({ length: m }, (_, j) => begin + j).sort(
      (i, j) => key(i) - key(j) || Math.abs(w.data[i] as number) - Math.abs(w.data[j] as number) || 0,
    );
  }
}

/** The threshold of each entry: the mean of the (m-n)-th and (m-n+1)-th smallest magnitude of its group. */
function groupThresholds(w: RefArray, n: number, m: number): Float64Array {
  const t = new Float64Array(w.data.length);
  for (const order of sortedGroups(w, m)) {
    const [lower, upper] = [order[m - n - 1], order[m - n]].map((i) => Math.abs(w.data[i as number] as number));
    for (const i of order) t[i] = 0.5 * (lower as number) + 0.5 * (upper as number);
  }
  return t;
}

const odd = { shape: [3, 5, 12], draw: 'distinct' } as const;

export const nmSoftWeightOp = defineOp({
  name: 'nmSoftWeight',
  inputs: { w: 'diff' },
  outputs: { y: 'diff' },
  attrs: { n: 'int', m: 'int', dtype: ['f32', 'bf16'] },
  scalars: { tau: 'float' },
  types: ['f32'],
  outputTypes: { y: (_, { dtype }) => (dtype === 'bf16' ? 'bf16' : 'f32') },
  saves: ['w'],
  shapes({ w }, { n, m }) {
    checkGroups('nmSoftWeight', w, n, m);
    return { y: w };
  },
  backward: ({ saved: { w }, grads: { y: g }, attrs: { n, m }, scalars }) => ({
    w: (to) => run(nmSoftWeightGradOp, { w, g }, { n, m }, { scalars, ...to }).dw,
  }),
  reference({ w }, { y }, { n, m }, { tau }) {
    if (n === m) {
      y.data.set(w.data);
      return;
    }
    const t = groupThresholds(w, n, m);
    for (let i = 0; i < t.length; i++)
      y.data[i] = softMaskAt(w.data[i] as number, t[i] as number, tau) * (w.data[i] as number);
  },
  // Thresholds are constants of the gradient, but move in a finite difference: no comparison with those.
  cases: [
    { inputs: { w: odd }, attrs: { n: 2, m: 4, dtype: 'f32' }, scalars: { tau: 0.5 }, grad: false },
    { inputs: { w: { shape: [70_000] } }, attrs: { n: 4, m: 8, dtype: 'f32' }, scalars: { tau: 0.5 }, grad: false },
    { inputs: { w: odd }, attrs: { n: 1, m: 3, dtype: 'bf16' }, scalars: { tau: 2 }, grad: false },
    { inputs: { w: odd }, attrs: { n: 1, m: 4, dtype: 'bf16' }, scalars: { tau: 0.5 }, grad: false },
    { inputs: { w: [3, 24] }, attrs: { n: 2, m: 8, dtype: 'bf16' }, scalars: { tau: 0.5 }, grad: false },
    { inputs: { w: odd }, attrs: { n: 1, m: 2, dtype: 'f32' }, scalars: { tau: 0.5 }, grad: false },
    { inputs: { w: odd }, attrs: { n: 4, m: 4, dtype: 'f32' }, scalars: { tau: 0.5 } },
    { inputs: { w: [0, 8] }, attrs: { n: 2, m: 4, dtype: 'f32' }, scalars: { tau: 0.5 } },
    {
      name: 'special values',
      inputs: { w: { shape: [3, 4], values: [NaN, 1, 2, 3, Infinity, -Infinity, 1, 2, 0, -0, Infinity, 3] } },
      attrs: { n: 2, m: 4, dtype: 'f32' },
      scalars: { tau: 1e-3 },
      grad: false,
    },
    {
      inputs: { w: [4, 7] },
      attrs: { n: 2, m: 4, dtype: 'f32' },
      scalars: { tau: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'multiple of m = 4' },
    },
    {
      inputs: { w: [4, 8] },
      attrs: { n: 5, m: 4, dtype: 'f32' },
      scalars: { tau: 1 },
      refuses: { code: 'ERR_ARGUMENT', says: '5 of 4' },
    },
    {
      name: 'bench',
      inputs: { w: [1 << 22] },
      attrs: { n: 2, m: 4, dtype: 'f32' },
      scalars: { tau: 0.1 },
      bench: true,
      grad: false,
    },
  ],
});

export const nmSoftWeightGradOp = defineOp({
  name: 'nmSoftWeightGrad',
  inputs: { w: 'const', g: 'const' },
  outputs: { dw: 'const' },
  attrs: { n: 'int', m: 'int' },
  scalars: { tau: 'float' },
  inputTypes: { w: 'f32' },
  outputTypes: { dw: 'f32' },
  shapes({ w, g }, { n, m }) {
    checkGroups('nmSoftWeightGrad', w, n, m);
    needShape('nmSoftWeightGrad', 'g', g, w);
    return { dw: w };
  },
  reference({ w, g }, { dw }, { n, m }, { tau }) {
    if (n === m) {
      dw.data.set(g.data);
      return;
    }
    const t = groupThresholds(w, n, m);
    for (let i = 0; i < t.length; i++) {
      const x = w.data[i] as number;
      const mask = softMaskAt(x, t[i] as number, tau);
      dw.data[i] = (g.data[i] as number) * (mask + boundary(mask, (2 * x * x) / tau));
    }
  },
  cases: [
    { inputs: { w: odd, g: [3, 5, 12] }, attrs: { n: 2, m: 4 }, scalars: { tau: 0.5 } },
    { inputs: { w: [8, 64], g: [8, 64] }, attrs: { n: 4, m: 8 }, scalars: { tau: 0.5 } },
    { inputs: { w: odd, g: [3, 5, 12] }, attrs: { n: 1, m: 4 }, scalars: { tau: 0.5 } },
    { inputs: { w: [3, 24], g: [3, 24] }, attrs: { n: 2, m: 8 }, scalars: { tau: 0.5 } },
    { inputs: { w: odd, g: [3, 5, 12] }, attrs: { n: 1, m: 2 }, scalars: { tau: 0.5 } },
    { inputs: { w: odd, g: [3, 5, 12] }, attrs: { n: 5, m: 6 }, scalars: { tau: 1 } },
    { inputs: { w: odd, g: [3, 5, 12] }, attrs: { n: 4, m: 4 }, scalars: { tau: 1 } },
  ],
});

export const nmHardMaskOp = defineOp({
  name: 'nmHardMask',
  inputs: { w: 'const' },
  outputs: { mask: 'const' },
  attrs: { n: 'int', m: 'int' },
  types: ['f32'],
  shapes({ w }, { n, m }) {
    checkGroups('nmHardMask', w, n, m);
    return { mask: w };
  },
  reference({ w }, { mask }, { n, m }) {
    for (const order of sortedGroups(w, m)) order.forEach((i, rank) => (mask.data[i] = rank < m - n ? 0 : 1));
  },
  cases: [
    { inputs: { w: odd }, attrs: { n: 2, m: 4 } },
    { inputs: { w: [70_000] }, attrs: { n: 4, m: 8 } },
    { inputs: { w: odd }, attrs: { n: 1, m: 3 } },
    { inputs: { w: [2, 64] }, attrs: { n: 10, m: 64 } },
    {
      name: 'ties',
      inputs: { w: { shape: [4, 4], values: [1, -1, 1, 1, 0, -0, 0, 0, 2, 1, -2, 2] } },
      attrs: { n: 2, m: 4 },
    },
    {
      name: 'special values',
      inputs: { w: { shape: [2, 4], values: [NaN, 1, Infinity, NaN, -Infinity, Infinity, NaN, 5] } },
      attrs: { n: 1, m: 4 },
    },
    { inputs: { w: [4, 7] }, attrs: { n: 2, m: 4 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'multiple of m' } },
    { name: 'bench', inputs: { w: [1 << 22] }, attrs: { n: 2, m: 4 }, bench: true },
  ],
});

export interface NmOptions {
  /** How many of every group are kept. */
  readonly n: number;
  /** The size of a group, a divisor of the last axis; at most 64. */
  readonly m: number;
}
export interface NmSoftWeightOptions extends NmOptions {
  /** Temperature of the soft mask, above 0. */
  readonly tau: number;
  /** Dtype of the result (default `f32`). */
  readonly dtype?: 'f32' | 'bf16';
}

/**
 * PDP per group: in every run of m entries along the last axis `t = (a_(m-n) + a_(m-n+1)) / 2` from their sorted
 * magnitudes, and `y = w sigmoid((w^2 - t^2) / tau)`. Gradient to `w` with t as a constant, the mask recomputed. With
 * n = m `y = w` bit for bit. To group a convolution's weight along its input channels it is fine as it lies (O, kh, kw, I).
 *
 * @throws ERR_SHAPE_MISMATCH when the last axis is not a multiple of m, ERR_ARGUMENT on n, m or tau out of range
 */
export function nmSoftWeight(w: Tensor, options: NmSoftWeightOptions): Tensor {
  checkOptions('nmSoftWeight', options, ['n', 'm', 'tau', 'dtype']);
  const { n, m, tau, dtype = 'f32' } = options;
  checkTau('nmSoftWeight', tau);
  return run(nmSoftWeightOp, { w }, { n, m, dtype }, { scalars: { tau } }).y;
}

/**
 * The mask that keeps the n largest magnitudes of every run of m entries along the last axis: 1 kept, 0 dropped, f32.
 * Among equal magnitudes the smaller index is dropped first; NaN counts as the largest. Without gradient.
 *
 * @throws ERR_SHAPE_MISMATCH when the last axis is not a multiple of m, ERR_ARGUMENT on n or m out of range
 */
export function nmHardMask(w: Tensor, options: NmOptions): Tensor {
  checkOptions('nmHardMask', options, ['n', 'm']);
  return run(nmHardMaskOp, { w }, { n: options.n, m: options.m }).mask;
}
