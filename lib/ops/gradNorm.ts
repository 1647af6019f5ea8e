import { SecateurError } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { shapeError, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { eachEntry, entry, setEntry } from './parameterLists.js';

export const gradNormOp = defineOp({
  name: 'gradNorm',
  inputs: { g: 'const[]' },
  outputs: { norm: 'const' },
  types: ['f32'],
  shapes: () => ({ norm: [] }),
  reference({ g }, { norm }) {
    let sum = 0;
    eachEntry(g, (p, i) => (sum += entry(g, p, i) ** 2));
    norm.data[0] = Math.sqrt(sum);
  },
  cases: [
    { inputs: { g: [[7], [], [0], [40, 17]] } },
    { inputs: { g: [[70001], [3]] } },
    { name: 'large and small', inputs: { g: [{ shape: [3], values: [3e30, 4e30, 1e-30] }] } },
    { name: 'infinite', inputs: { g: [{ shape: [3], values: [1, -Infinity, 2] }] } },
    { name: 'NaN', inputs: { g: [{ shape: [2], values: [1, NaN] }, [4]] } },
    { name: 'bench', inputs: { g: [[1 << 22]] }, bench: true },
  ],
  cost: ({ g }) => {
    const n = g.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 2 * n, bytes: 4 * n };
  },
});

export const clipGradsOp = defineOp({
  name: 'clipGrads',
  inputs: { norm: 'const', g: 'inout[]' },
  outputs: {},
  scalars: { maxNorm: 'float' },
  types: ['f32'],
  shapes({ norm }) {
    if (norm.length !== 0) throw shapeError('clipGrads', `norm of shape ${showShape(norm)}`, 'a scalar from gradNorm');
    return {};
  },
  reference({ norm, g }, _, _attrs, { maxNorm }) {
    const factor = Math.min(1, maxNorm / ((norm.data[0] as number) + 1e-6));
    eachEntry(g, (p, i) => setEntry(g, p, i, entry(g, p, i) * factor));
  },
  cases: [
    {
      name: 'clips',
      inputs: { norm: { shape: [], values: [4] }, g: [[7], [], [0], [70001]] },
      scalars: { maxNorm: 1 },
    },
    { name: 'leaves', inputs: { norm: { shape: [], values: [0.5] }, g: [[7]] }, scalars: { maxNorm: 1 } },
    { name: 'NaN', inputs: { norm: { shape: [], values: [NaN] }, g: [[7]] }, scalars: { maxNorm: 1 } },
    { name: 'infinite', inputs: { norm: { shape: [], values: [Infinity] }, g: [[7]] }, scalars: { maxNorm: 1 } },
    {
      inputs: { norm: [2], g: [[7]] },
      scalars: { maxNorm: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'a scalar' },
    },
    {
      name: 'bench',
      inputs: { norm: { shape: [], values: [4] }, g: [[1 << 22]] },
      scalars: { maxNorm: 1 },
      bench: true,
    },
  ],
  cost: ({ g }) => {
    const n = g.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: n, bytes: 8 * n };
  },
});

/** `sqrt(sum of g^2)` over all tensors of the list: a scalar on their device. Sums in double. */
export function gradNorm(grads: readonly Tensor[]): Tensor {
  return run(gradNormOp, { g: grads }, {}).norm;
}

/**
 * `g *= min(1, maxNorm / (norm + 1e-6))` for every tensor of the list, in place. `norm` stays on its device: nothing
 * waits. A norm that is NaN makes every gradient NaN, as in PyTorch.
 *
 * @throws ERR_ARGUMENT when `maxNorm` is not a number above 0
 */
export function clipGrads_(grads: readonly Tensor[], norm: Tensor, maxNorm: number): void {
  if (!(maxNorm > 0))
    throw new SecateurError('ERR_ARGUMENT', `clipGrads_: maxNorm is ${maxNorm}; needs a number above 0.`, { maxNorm });
  run(clipGradsOp, { norm, g: grads }, {}, { scalars: { maxNorm } });
}
