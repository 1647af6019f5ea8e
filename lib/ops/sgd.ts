import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { checkLists, eachEntry, entry, setEntry } from './parameterLists.js';

export const sgdOp = defineOp({
  name: 'sgd',
  inputs: { w: 'inout[]', g: 'const[]', v: 'inout[]' },
  outputs: {},
  attrs: { nesterov: 'bool' },
  scalars: { lr: 'float', momentum: 'float', weightDecay: 'float' },
  types: ['f32'],
  shapes({ w, g, v }) {
    checkLists('sgd', w, { g, v }, ['v']);
    return {};
  },
  reference({ w, g, v }, _, { nesterov }, { lr, momentum, weightDecay }) {
    eachEntry(w, (p, i) => {
      let d = entry(g, p, i) + weightDecay * entry(w, p, i);
      if (v.length > 0) {
        const velocity = momentum * entry(v, p, i) + d;
        setEntry(v, p, i, velocity);
        d = nesterov ? d + momentum * velocity : velocity;
      }
      setEntry(w, p, i, entry(w, p, i) - lr * d);
    });
  },
  cases: [
    {
      name: 'plain',
      inputs: { w: [[7], [3, 5]], g: [[7], [3, 5]], v: [] },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0 },
    },
    {
      name: 'momentum and decay',
      inputs: { w: [[33], [], [0], [40, 17]], g: [[33], [], [0], [40, 17]], v: [[33], [], [0], [40, 17]] },
      attrs: { nesterov: false },
      scalars: { lr: 0.05, momentum: 0.9, weightDecay: 0.01 },
    },
    {
      name: 'nesterov',
      inputs: { w: [[70001]], g: [[70001]], v: [[70001]] },
      attrs: { nesterov: true },
      scalars: { lr: 0.05, momentum: 0.9, weightDecay: 0.01 },
    },
    {
      name: 'special values',
      inputs: {
        w: [{ shape: [6], values: [1, NaN, 3, 4, -0, 6] }],
        g: [{ shape: [6], values: [NaN, 1, Infinity, -Infinity, 0, 1e-40] }],
        v: [{ shape: [6], values: [1, 2, 3, 4, 0, Infinity] }],
      },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0.5, weightDecay: 0 },
    },
    {
      name: 'no parameters',
      inputs: { w: [], g: [], v: [] },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0 },
    },
    {
      inputs: { w: [[3]], g: [[4]], v: [] },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: "'g[0]' of shape [4]" },
    },
    {
      name: 'bench',
      inputs: { w: [[1 << 22]], g: [[1 << 22]], v: [[1 << 22]] },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 },
      bench: true,
    },
  ],
  cost: ({ w, v }) => {
    const n = w.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 6 * n, bytes: (v.length > 0 ? 20 : 12) * n };
  },
});

export interface SgdStepOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly nesterov?: boolean;
}

/**
 * One step of stochastic gradient descent on every tensor of `weights`, in place:
 * `d = g + weightDecay * w`; `v = momentum * v + d`; `w -= lr * v`, or `w -= lr * (d + momentum * v)` with Nesterov.
 * Without momentum `velocities` is empty and `w -= lr * d`. Velocities that start at 0 give PyTorch's first step, `v = d`.
 *
 * @throws ERR_SHAPE_MISMATCH when the lists do not match entry by entry
 */
export function sgdStep_(
  weights: readonly Tensor[],
  grads: readonly Tensor[],
  velocities: readonly Tensor[],
  { lr, momentum = 0, weightDecay = 0, nesterov = false }: SgdStepOptions,
): void {
  run(sgdOp, { w: weights, g: grads, v: velocities }, { nesterov }, { scalars: { lr, momentum, weightDecay } });
}
