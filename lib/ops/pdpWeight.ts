import { checkOptions } from '../core/errors.js';
import { defineOp, type CaseInput, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { boundary, checkTau, softMaskAt } from './softMask.js';
import { checkRow, type ThresholdRow } from './threshold.js';

// Two layers; in the first nothing is pruned, in the second t = 0.5.
const levels: CaseInput = { shape: [2, 3], values: [NaN, NaN, NaN, 0.25, 0.75, 0.5] };
const counts: CaseInput = { shape: [2, 2], values: [0, 0, 5, 1] };
const f32 = { dtype: 'f32', throughThreshold: false } as const;

export const pdpWeightOp = defineOp({
  name: 'pdpWeight',
  inputs: { w: 'diff', levels: 'const', counts: 'const' },
  outputs: { y: 'diff' },
  attrs: { dtype: ['f32', 'bf16'], throughThreshold: 'bool' },
  scalars: { layer: 'int', tau: 'float' },
  types: ['f32'],
  inputTypes: { counts: 'i32' },
  outputTypes: { y: (_, { dtype }) => (dtype === 'bf16' ? 'bf16' : 'f32') },
  saves: ['w', 'levels', 'counts'],
  shapes({ w, levels, counts }, _, { layer }) {
    checkRow('pdpWeight', levels, counts, layer);
    return { y: w };
  },
  backward: ({ saved: { w, levels, counts }, grads: { y: g }, attrs: { throughThreshold }, scalars }) => ({
    w: (to) => run(pdpWeightGradOp, { w, g, levels, counts }, { throughThreshold }, { scalars, ...to }).dw,
  }),
  reference({ w, levels, counts }, { y }, _, { layer, tau }) {
    const t = levels.data[3 * layer + 2] as number;
    const dense = counts.data[2 * layer] === 0;
    for (let i = 0; i < w.data.length; i++) {
      const x = w.data[i] as number;
      y.data[i] = dense ? x : softMaskAt(x, t, tau) * x;
    }
  },
  cases: [
    { inputs: { w: [40, 17], levels, counts }, attrs: f32, scalars: { layer: 1, tau: 0.1 } },
    { name: 'nothing pruned', inputs: { w: [33], levels, counts }, attrs: f32, scalars: { layer: 0, tau: 0.1 } },
    {
      name: 'to bf16',
      inputs: { w: [70_001], levels, counts },
      attrs: { ...f32, dtype: 'bf16' },
      scalars: { layer: 1, tau: 0.5 },
    },
    { name: 'scalar', inputs: { w: [], levels, counts }, attrs: f32, scalars: { layer: 1, tau: 1 } },
    { name: 'empty', inputs: { w: [0, 3], levels, counts }, attrs: f32, scalars: { layer: 1, tau: 1 } },
    {
      name: 'sharp',
      inputs: { w: { shape: [4], values: [0.4, -0.6, 0.5, -0.5] }, levels, counts },
      attrs: f32,
      scalars: { layer: 1, tau: 1e-30 },
      grad: false,
    },
    {
      name: 'special values',
      inputs: { w: { shape: [6], values: [NaN, Infinity, -Infinity, 0, -1e-40, 1e30] }, levels, counts },
      attrs: f32,
      scalars: { layer: 1, tau: 1e-4 },
      grad: false,
    },
    {
      inputs: { w: [3], levels, counts },
      attrs: f32,
      scalars: { layer: 2, tau: 1 },
      refuses: { code: 'ERR_ARGUMENT', says: 'layer 2 of 2' },
    },
    {
      name: 'bench',
      inputs: { w: [1 << 22], levels, counts },
      attrs: f32,
      scalars: { layer: 1, tau: 0.1 },
      bench: true,
      grad: false,
    },
  ],
  cost: ({ w }, _, { dtype }) => {
    const n = w.reduce((a, b) => a * b, 1);
    return { flops: 14 * n, bytes: (dtype === 'bf16' ? 6 : 8) * n };
  },
});

/** dL/dt = sum of g w (-2t/tau) m (1 - m); half of it goes, with the weight's sign, to the first holder of a_k and half to that of a_(k+1). */
function throughThreshold(
  w: RefArray,
  g: RefArray,
  [lower, upper, t]: readonly number[],
  tau: number,
  dw: RefArray,
): void {
  let total = 0;
  for (let i = 0; i < w.data.length; i++) {
    const x = w.data[i] as number;
    total += (g.data[i] as number) * x * boundary(softMaskAt(x, t as number, tau), (-2 * (t as number)) / tau);
  }
  for (const level of [lower, upper]) {
    const at = w.data.findIndex((x) => Math.abs(x) === level);
    if (at >= 0) dw.data[at] = (dw.data[at] as number) + 0.5 * total * Math.sign(w.data[at] as number);
  }
}

const gradInputs = { w: { shape: [9], values: [0.1, -0.25, 0.75, -1, 2, 0.4, -0.6, 0, 0.3] }, g: [9], levels, counts };

export const pdpWeightGradOp = defineOp({
  name: 'pdpWeightGrad',
  inputs: { w: 'const', g: 'const', levels: 'const', counts: 'const' },
  outputs: { dw: 'const' },
  attrs: { throughThreshold: 'bool' },
  scalars: { layer: 'int', tau: 'float' },
  inputTypes: { w: 'f32', levels: 'f32', counts: 'i32' },
  outputTypes: { dw: 'f32' },
  shapes({ w, g, levels, counts }, _, { layer }) {
    checkRow('pdpWeightGrad', levels, counts, layer);
    needShape('pdpWeightGrad', 'g', g, w);
    return { dw: w };
  },
  reference({ w, g, levels, counts }, { dw }, attrs, { layer, tau }) {
    const row = [...levels.data.subarray(3 * layer, 3 * layer + 3)];
    const dense = counts.data[2 * layer] === 0;
    for (let i = 0; i < w.data.length; i++) {
      const x = w.data[i] as number;
      const m = softMaskAt(x, row[2] as number, tau);
      dw.data[i] = (g.data[i] as number) * (dense ? 1 : m + boundary(m, (2 * x * x) / tau));
    }
    if (attrs.throughThreshold && !dense) throughThreshold(w, g, row, tau, dw);
  },
  cases: [
    { inputs: gradInputs, attrs: { throughThreshold: true }, scalars: { layer: 1, tau: 0.2 } },
    { name: 'nothing pruned', inputs: gradInputs, attrs: { throughThreshold: true }, scalars: { layer: 0, tau: 0.2 } },
    {
      inputs: { ...gradInputs, w: [70_001], g: [70_001] },
      attrs: { throughThreshold: false },
      scalars: { layer: 1, tau: 0.2 },
    },
    {
      name: 'special values',
      inputs: { ...gradInputs, w: { shape: [6], values: [NaN, Infinity, -Infinity, 0, 1e30, 1] }, g: [6] },
      attrs: { throughThreshold: false },
      scalars: { layer: 1, tau: 1e-4 },
    },
    {
      name: 'bench',
      inputs: { ...gradInputs, w: [1 << 22], g: [1 << 22] },
      attrs: { throughThreshold: false },
      scalars: { layer: 1, tau: 0.1 },
      bench: true,
    },
  ],
  cost: ({ w }) => {
    const n = w.reduce((a, b) => a * b, 1);
    return { flops: 20 * n, bytes: 12 * n };
  },
});

export interface PdpWeightOptions {
  /** Temperature of the soft mask, above 0. */
  readonly tau: number;
  /** Dtype of the result (default `f32`): with `bf16` the mask, the product and the conversion are one pass. */
  readonly dtype?: 'f32' | 'bf16';
  /** Also differentiate through the threshold (default false: it counts as a constant). */
  readonly throughThreshold?: boolean;
}

/**
 * PDP's effective weight: `y = m w` with the soft mask `m = sigmoid((w^2 - t^2) / tau)`, any shape, f32. With nothing
 * to prune (k = 0) `y = w` bit for bit. Nothing is saved but `w` and the thresholds: backward recomputes the mask,
 * `dw = g (m + 2 w^2 / tau * m (1 - m))`. Source: Cho, Adya, Naik, "PDP: Parameter-free Differentiable Pruning is All
 * You Need", NeurIPS 2023.
 *
 * @throws ERR_ARGUMENT when tau is not above 0 or the row does not exist
 */
export function pdpWeight(w: Tensor, row: ThresholdRow, options: PdpWeightOptions): Tensor {
  checkOptions('pdpWeight', options, ['tau', 'dtype', 'throughThreshold']);
  const { tau, dtype = 'f32', throughThreshold = false } = options;
  checkTau('pdpWeight', tau);
  const { levels, counts, layer } = row;
  return run(pdpWeightOp, { w, levels, counts }, { dtype, throughThreshold }, { scalars: { layer, tau } }).y;
}
