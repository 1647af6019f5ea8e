import { type RefArray, defineOp } from '../core/op.js';
import type { RandomState } from '../core/random.js';
import { run } from '../core/run.js';
import { sameShape, shapeError, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkLists, checkMaxNorm, eachEntry, entry, setEntry } from './parameterLists.js';
import { pdpWeightGradOp } from './pdpWeight.js';
import { checkTau } from './softMask.js';
import type { Thresholds } from './threshold.js';

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

const noRandom: RandomState = { seed: 0, position: 0 };

export const pdpGradNormOp = defineOp({
  name: 'pdpGradNorm',
  inputs: { plain: 'const[]', w: 'const[]', g: 'const[]', levels: 'const', counts: 'const' },
  outputs: { norm: 'const' },
  attrs: {},
  scalars: { tau: 'float', places: 'ints' },
  inputTypes: { plain: 'f32', w: 'f32', levels: 'f32', counts: 'i32' },
  outputTypes: { norm: 'f32' },
  shapes({ plain, w, g, levels, counts }, _, { places }) {
    checkLists('pdpGradNorm', w, { g });
    for (const [name, got, wide] of [
      ['levels', levels, 3],
      ['counts', counts, 2],
    ] as const)
      if (!sameShape(got, [w.length, wide]))
        throw shapeError('pdpGradNorm', `${name} of shape ${showShape(got)}`, showShape([w.length, wide]));
    const all = plain.length + w.length;
    const fit = places.every((p) => Number.isInteger(p) && p >= 0 && p < all);
    if (places.length !== w.length || new Set(places).size !== w.length || !fit)
      throw shapeError('pdpGradNorm', `places ${showShape(places)}`, `${w.length} different ones from 0 to ${all - 1}`);
    return { norm: [] };
  },
  reference({ plain, w, g, levels, counts }, { norm }, _, { tau }) {
    const masked = w.map((weight, layer): RefArray => {
      const dw: RefArray = { data: new Float64Array(weight.data.length), shape: weight.shape, dtype: 'f32' };
      const inputs = { w: weight, g: g[layer] as RefArray, levels, counts };
      pdpWeightGradOp.reference(inputs, { dw }, { throughThreshold: false }, { layer, tau }, noRandom);
      return dw;
    });
    gradNormOp.reference({ g: [...plain, ...masked] }, { norm }, {}, {}, noRandom);
  },
  cases: [
    {
      inputs: {
        plain: [[5], [40, 17], [0]],
        w: [[33], [40, 17], [], [0]],
        g: [[33], [40, 17], [], [0]],
        // Nothing is pruned in the first layer.
        levels: { shape: [4, 3], values: [NaN, NaN, NaN, 0.25, 0.75, 0.5, 0.1, 0.1, 0.1, 0, 0, 0] },
        counts: { shape: [4, 2], values: [0, 0, 5, 1, 1, 1, 0, 0] },
      },
      scalars: { tau: 0.5, places: [0, 2, 3, 6] },
    },
    {
      name: 'a large layer, no plain gradient',
      inputs: {
        plain: [],
        w: [[70_001]],
        g: [[70_001]],
        levels: { shape: [1, 3], values: [0.5, 0.5, 0.5] },
        counts: { shape: [1, 2], values: [9, 1] },
      },
      scalars: { tau: 0.1, places: [0] },
    },
    {
      name: 'NaN',
      inputs: {
        plain: [[3]],
        w: [[2]],
        g: [{ shape: [2], values: [1, NaN] }],
        levels: { shape: [1, 3], values: [0.5, 0.5, 0.5] },
        counts: { shape: [1, 2], values: [1, 1] },
      },
      scalars: { tau: 0.1, places: [1] },
    },
    {
      inputs: { plain: [[3]], w: [[2]], g: [[2]], levels: [1, 3], counts: { shape: [1, 2], values: [1, 1] } },
      scalars: { tau: 0.1, places: [2] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'places [2]' },
    },
    {
      inputs: { plain: [], w: [[2]], g: [[2]], levels: [2, 3], counts: { shape: [1, 2], values: [1, 1] } },
      scalars: { tau: 0.1, places: [0] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'levels of shape [2, 3]' },
    },
    {
      name: 'bench',
      inputs: {
        plain: [[64]],
        w: [[1 << 22]],
        g: [[1 << 22]],
        levels: { shape: [1, 3], values: [0.5, 0.5, 0.5] },
        counts: { shape: [1, 2], values: [9, 1] },
      },
      scalars: { tau: 0.1, places: [1] },
      bench: true,
    },
  ],
  cost: ({ plain, w }) => {
    const sizes = (list: readonly (readonly number[])[]): number =>
      list.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 2 * sizes(plain) + 20 * sizes(w), bytes: 4 * sizes(plain) + 6 * sizes(w) };
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

/** A weight under PDP's soft mask whose gradient is that of the effective weight; its thresholds are row `layer`. */
export interface MaskedGrad {
  readonly weight: Tensor;
  /** f32 or bf16; the same for all. */
  readonly grad: Tensor;
  readonly layer: number;
}

/**
 * `gradNorm` of gradients of which some still have to go through PDP's mask (see `pdpWeight`): equal bit for bit to
 * computing those first, in one pass over weights and gradients that writes nothing. Of every layer there is one entry.
 *
 * @throws ERR_SHAPE_MISMATCH when layers and thresholds do not match, ERR_ARGUMENT on a tau out of range
 */
export function pdpGradNorm(
  grads: readonly (Tensor | MaskedGrad)[],
  { levels, counts }: Thresholds,
  tau: number,
): Tensor {
  checkTau('pdpGradNorm', tau);
  const masked = grads
    .flatMap((entry, place) => ('layer' in entry ? [{ ...entry, place }] : []))
    .sort((a, b) => a.layer - b.layer);
  const inputs = {
    plain: grads.flatMap((entry) => ('layer' in entry ? [] : [entry])),
    w: masked.map((m) => m.weight),
    g: masked.map((m) => m.grad),
    levels,
    counts,
  };
  return run(pdpGradNormOp, inputs, {}, { scalars: { tau, places: masked.map((m) => m.place) } }).norm;
}

/** A norm of gradients, on their device, and what it is to be at most. */
export interface Clip {
  readonly norm: Tensor;
  readonly maxNorm: number;
}

/**
 * `g *= min(1, maxNorm / (norm + 1e-6))` for every tensor of the list, in place. `norm` stays on its device: nothing
 * waits. A norm that is NaN makes every gradient NaN, as in PyTorch.
 *
 * @throws ERR_ARGUMENT when `maxNorm` is not a number above 0
 */
export function clipGrads_(grads: readonly Tensor[], norm: Tensor, maxNorm: number): void {
  checkMaxNorm('clipGrads_', maxNorm);
  run(clipGradsOp, { norm, g: grads }, {}, { scalars: { maxNorm } });
}
