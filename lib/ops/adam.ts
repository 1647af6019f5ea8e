import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { shapeError } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkLists, eachEntry, entry, setEntry } from './parameterLists.js';

const lists = (...shapes: (readonly number[])[]): Record<string, (readonly number[])[]> => ({
  w: shapes,
  g: shapes,
  m: shapes,
});
const positive = (...shapes: (readonly number[])[]): { shape: readonly number[]; draw: 'positive' }[] =>
  shapes.map((shape) => ({ shape, draw: 'positive' }));
const usual = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };

export const adamOp = defineOp({
  name: 'adam',
  inputs: { w: 'inout[]', g: 'const[]', m: 'inout[]', v: 'inout[]' },
  outputs: {},
  attrs: { decoupled: 'bool' },
  scalars: { lr: 'float', beta1: 'float', beta2: 'float', eps: 'float', weightDecay: 'float', step: 'ints' },
  types: ['f32'],
  shapes({ w, g, m, v }, _, { step }) {
    checkLists('adam', w, { g, m, v });
    if (step.length !== w.length)
      throw shapeError('adam', `${step.length} step numbers`, `${w.length}, one for each tensor`);
    return {};
  },
  reference({ w, g, m, v }, _, { decoupled }, { lr, beta1, beta2, eps, weightDecay, step }) {
    eachEntry(w, (p, i) => {
      const t = step[p] as number;
      let x = entry(w, p, i);
      if (decoupled) x *= 1 - lr * weightDecay;
      const d = decoupled ? entry(g, p, i) : entry(g, p, i) + weightDecay * x;
      const mean = beta1 * entry(m, p, i) + (1 - beta1) * d;
      const square = beta2 * entry(v, p, i) + (1 - beta2) * d * d;
      setEntry(m, p, i, mean);
      setEntry(v, p, i, square);
      const scale = Math.sqrt(square / (1 - beta2 ** t)) + eps;
      setEntry(w, p, i, x - (lr / (1 - beta1 ** t)) * (mean / scale));
    });
  },
  cases: [
    {
      name: 'adam with decay',
      inputs: { ...lists([33], [], [0], [40, 17]), v: positive([33], [], [0], [40, 17]) },
      attrs: { decoupled: false },
      scalars: { ...usual, weightDecay: 0.1, step: [1, 2, 3, 1000] },
    },
    {
      name: 'adamW',
      inputs: { ...lists([70001], [5]), v: positive([70001], [5]) },
      attrs: { decoupled: true },
      scalars: { ...usual, weightDecay: 0.3, step: [7, 1] },
    },
    {
      name: 'special values',
      inputs: {
        w: [{ shape: [5], values: [1, NaN, 3, 4, 5] }],
        g: [{ shape: [5], values: [NaN, 1, Infinity, 0, 2] }],
        m: [{ shape: [5], values: [0, 0, 0, 0, 1] }],
        v: [{ shape: [5], values: [0, 0, 0, 0, Infinity] }],
      },
      attrs: { decoupled: true },
      scalars: { ...usual, step: [1] },
    },
    {
      name: 'one step number too few',
      inputs: { ...lists([3], [3]), v: [[3], [3]] },
      attrs: { decoupled: false },
      scalars: { ...usual, step: [1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'step numbers' },
    },
    {
      name: 'bench',
      inputs: { ...lists([1 << 22]), v: positive([1 << 22]) },
      attrs: { decoupled: true },
      scalars: { ...usual, weightDecay: 0.01, step: [10] },
      bench: true,
    },
  ],
  cost: ({ w }) => {
    const n = w.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 14 * n, bytes: 28 * n };
  },
});

export interface AdamStepOptions {
  readonly lr: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly weightDecay?: number;
  /** Decay the weights themselves (AdamW) instead of adding the decay to the gradient (Adam). */
  readonly decoupled?: boolean;
}

/**
 * One step of Adam on every tensor of `weights`, in place. With t the step number of the tensor, from 1:
 * `m = b1 m + (1 - b1) d`; `v = b2 v + (1 - b2) d^2`; `w -= lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)`.
 * Adam (Kingma and Ba 2014): `d = g + weightDecay * w`. Decoupled, AdamW (Loshchilov and Hutter 2017): `d = g`, and
 * first `w *= 1 - lr * weightDecay`.
 *
 * @throws ERR_SHAPE_MISMATCH when the lists do not match entry by entry
 */
export function adamStep_(
  weights: readonly Tensor[],
  grads: readonly Tensor[],
  means: readonly Tensor[],
  squares: readonly Tensor[],
  step: readonly number[],
  { lr, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, decoupled = false }: AdamStepOptions,
): void {
  const scalars = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay, step };
  run(adamOp, { w: weights, g: grads, m: means, v: squares }, { decoupled }, { scalars });
}
