import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { checkLists, eachEntry, entry, setEntry } from './parameterLists.js';

const positive = (...shapes: (readonly number[])[]): { shape: readonly number[]; draw: 'positive' }[] =>
  shapes.map((shape) => ({ shape, draw: 'positive' }));
const usual = { lr: 0.01, alpha: 0.9, eps: 1e-8, weightDecay: 0, momentum: 0 };

export const rmspropOp = defineOp({
  name: 'rmsprop',
  inputs: { w: 'inout[]', g: 'const[]', v: 'inout[]', a: 'inout[]', b: 'inout[]' },
  outputs: {},
  scalars: { lr: 'float', alpha: 'float', eps: 'float', weightDecay: 'float', momentum: 'float' },
  types: ['f32'],
  shapes({ w, g, v, a, b }) {
    checkLists('rmsprop', w, { g, v, a, b }, ['a', 'b']);
    return {};
  },
  reference({ w, g, v, a, b }, _, _attrs, { lr, alpha, eps, weightDecay, momentum }) {
    eachEntry(w, (p, i) => {
      const d = entry(g, p, i) + weightDecay * entry(w, p, i);
      const square = alpha * entry(v, p, i) + (1 - alpha) * d * d;
      setEntry(v, p, i, square);
      let spread = square;
      if (a.length > 0) {
        const mean = alpha * entry(a, p, i) + (1 - alpha) * d;
        setEntry(a, p, i, mean);
        // A variance: below zero only by rounding.
        spread = Math.max(0, square - mean * mean);
      }
      let update = d / (Math.sqrt(spread) + eps);
      if (b.length > 0) {
        update = momentum * entry(b, p, i) + update;
        setEntry(b, p, i, update);
      }
      setEntry(w, p, i, entry(w, p, i) - lr * update);
    });
  },
  cases: [
    {
      name: 'plain',
      inputs: { w: [[33], [], [0]], g: [[33], [], [0]], v: positive([33], [], [0]), a: [], b: [] },
      scalars: usual,
    },
    {
      name: 'momentum and decay',
      inputs: { w: [[70001]], g: [[70001]], v: positive([70001]), a: [], b: [[70001]] },
      scalars: { ...usual, eps: 1e-3, weightDecay: 0.01, momentum: 0.9 },
    },
    {
      name: 'centered',
      inputs: {
        w: [[7, 3]],
        g: [[7, 3]],
        v: [{ shape: [7, 3], values: [1, 2, 3] }],
        a: [{ shape: [7, 3], values: [0.5, -0.9] }],
        b: [[7, 3]],
      },
      scalars: { ...usual, eps: 1e-5, momentum: 0.5 },
    },
    {
      name: 'centered, variance below zero',
      inputs: {
        w: [[3]],
        g: [{ shape: [3], values: [1] }],
        v: [{ shape: [3], values: [1] }],
        a: [{ shape: [3], values: [2] }],
        b: [],
      },
      scalars: { ...usual, eps: 0.1 },
    },
    {
      name: 'special values',
      inputs: {
        w: [{ shape: [4], values: [1, NaN, 3, 4] }],
        g: [{ shape: [4], values: [NaN, 1, 0, 2] }],
        v: [{ shape: [4], values: [0, 0, 0, Infinity] }],
        a: [],
        b: [],
      },
      scalars: usual,
    },
    {
      inputs: { w: [[3]], g: [[3]], v: [[3]], a: [], b: [[2]] },
      scalars: usual,
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: "'b[0]'" },
    },
    {
      name: 'bench',
      inputs: { w: [[1 << 22]], g: [[1 << 22]], v: positive([1 << 22]), a: [], b: [[1 << 22]] },
      scalars: { ...usual, momentum: 0.9 },
      bench: true,
    },
  ],
  cost: ({ w, a, b }) => {
    const n = w.reduce((sum, s) => sum + s.reduce((x, y) => x * y, 1), 0);
    return { flops: 10 * n, bytes: (20 + (a.length > 0 ? 8 : 0) + (b.length > 0 ? 8 : 0)) * n };
  },
});

export interface RmspropStepOptions {
  readonly lr: number;
  readonly alpha?: number;
  readonly eps?: number;
  readonly weightDecay?: number;
  readonly momentum?: number;
}

/**
 * One step of RMSprop on every tensor of `weights`, in place: `d = g + weightDecay * w`;
 * `v = alpha v + (1 - alpha) d^2`; `u = d / (sqrt(v) + eps)`; `w -= lr * u`. With `means` (centered)
 * `a = alpha a + (1 - alpha) d` and the root is of `v - a^2`; with `velocities` `b = momentum * b + u` and `w -= lr * b`.
 * Either list may be empty. Source: Tieleman and Hinton 2012; centered as in Graves 2013.
 *
 * @throws ERR_SHAPE_MISMATCH when the lists do not match entry by entry
 */
export function rmspropStep_(
  weights: readonly Tensor[],
  grads: readonly Tensor[],
  squares: readonly Tensor[],
  means: readonly Tensor[],
  velocities: readonly Tensor[],
  { lr, alpha = 0.99, eps = 1e-8, weightDecay = 0, momentum = 0 }: RmspropStepOptions,
): void {
  const scalars = { lr, alpha, eps, weightDecay, momentum };
  run(rmspropOp, { w: weights, g: grads, v: squares, a: means, b: velocities }, {}, { scalars });
}
