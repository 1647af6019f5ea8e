import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { SecateurError } from '../core/errors.js';
import { shapeError, showShape, sizeOf, type Shape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

/** Refuses counts of entries to prune that do not fit the weights. */
export function checkCounts(op: string, w: readonly Shape[], k: readonly number[]): void {
  if (k.length !== w.length) throw shapeError(op, `${k.length} counts`, `${w.length}, one for each tensor`);
  k.forEach((count, i) => {
    const n = sizeOf(w[i] as Shape);
    if (!Number.isInteger(count) || count < 0 || count > n || n >= 2 ** 31) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${op}: ${count} entries of tensor ${i} of ${n} are to be pruned; needs a whole number from 0 to ${n} (below 2^31).`,
        { count, size: n },
      );
    }
  });
}

export const thresholdOp = defineOp({
  name: 'threshold',
  inputs: { w: 'const[]', state: 'inout?' },
  outputs: { levels: 'const', counts: 'const' },
  scalars: { k: 'ints' },
  types: ['f32'],
  inputTypes: { state: 'i32' },
  outputTypes: { counts: 'i32' },
  shapes({ w, state }, _, { k }) {
    checkCounts('threshold', w, k);
    if (state !== undefined && (state.length !== 2 || state[0] !== w.length || state[1] !== 2))
      throw shapeError('threshold', `state of shape ${showShape(state)}`, `[${w.length}, 2]`);
    return { levels: [w.length, 3], counts: [w.length, 2] };
  },
  reference({ w }, { levels, counts }, _, { k }) {
    w.forEach(({ data }, layer) => {
      const pruned = k[layer] as number;
      // A typed array sorts numerically, NaN last.
      const sorted = data.map(Math.abs).sort();
      const lower = pruned === 0 ? NaN : (sorted[pruned - 1] as number);
      const upper = pruned === 0 ? NaN : (sorted[Math.min(pruned, data.length - 1)] as number);
      levels.data.set([lower, upper, 0.5 * lower + 0.5 * upper], 3 * layer);
      let ties = 0;
      for (let i = 0; i < pruned; i++) if (Object.is(sorted[i], lower)) ties++;
      counts.data.set([pruned, ties], 2 * layer);
    });
  },
  cases: [
    { inputs: { w: [[7], [40, 17], [33, 1, 5]] }, scalars: { k: [3, 612, 16] } },
    { name: 'none, all, one', inputs: { w: [[5], [5], [1], [1]] }, scalars: { k: [0, 5, 0, 1] } },
    { name: 'large', inputs: { w: [[300_001]] }, scalars: { k: [270_000] } },
    {
      name: 'all equal',
      inputs: {
        w: [
          { shape: [100], values: [0, -0] },
          { shape: [9], values: [-2, 2] },
        ],
      },
      scalars: { k: [37, 4] },
    },
    {
      name: 'many ties',
      inputs: { w: [{ shape: [70_001], values: [0, 1, -1, 0, 3, 2, 0] }] },
      scalars: { k: [40_000] },
    },
    {
      name: 'special values',
      inputs: {
        w: [
          { shape: [8], values: [NaN, 1, -Infinity, 2, -1e-40, 3, NaN, -0] },
          { shape: [2], values: [NaN, 1] },
        ],
      },
      scalars: { k: [6, 1] },
    },
    { name: 'no layers', inputs: { w: [] }, scalars: { k: [] } },
    { inputs: { w: [[5]] }, scalars: { k: [6] }, refuses: { code: 'ERR_ARGUMENT', says: 'from 0 to 5' } },
    { inputs: { w: [[5]] }, scalars: { k: [1, 2] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: '2 counts' } },
    { name: 'bench', inputs: { w: [[1 << 22]] }, scalars: { k: [3_774_873] }, bench: true },
  ],
  cost: ({ w }) => {
    const n = w.reduce((sum, s) => sum + sizeOf(s), 0);
    return { flops: n, bytes: 4 * n };
  },
});

/** What `threshold` found, for all layers. */
export interface Thresholds {
  /** f32 `[layers, 3]`: the k-th smallest magnitude a_k, the (k+1)-th, and their mean t. NaN where k = 0. */
  readonly levels: Tensor;
  /** i32 `[layers, 2]`: k, and how many of the entries of magnitude a_k are among the k (the first ones by index). */
  readonly counts: Tensor;
}

/** One layer's thresholds. */
export interface ThresholdRow extends Thresholds {
  readonly layer: number;
}

/** The thresholds of layer `layer`, for the ops that mask one weight. Nothing is copied. */
export function thresholdRow({ levels, counts }: Thresholds, layer: number): ThresholdRow {
  return { levels, counts, layer };
}

/** Refuses a row that is not one of `threshold`'s. */
export function checkRow(op: string, levels: Shape, counts: Shape, layer: number): void {
  const layers = levels[0] ?? 0;
  if (levels.length !== 2 || levels[1] !== 3 || counts.length !== 2 || counts[1] !== 2 || counts[0] !== layers)
    throw shapeError(
      op,
      `thresholds of shapes ${showShape(levels)} and ${showShape(counts)}`,
      '[layers, 3] and [layers, 2]',
    );
  if (!Number.isInteger(layer) || layer < 0 || layer >= layers) {
    throw new SecateurError('ERR_ARGUMENT', `${op}: layer ${layer} of ${layers}; count from 0.`, { layer, layers });
  }
}

/**
 * The magnitudes between which each weight is cut: for k entries to be pruned, the k-th and (k+1)-th smallest |w| and
 * their mean `t = (a_k + a_(k+1)) / 2` (for k = n the largest |w|). Exact, by selection, all layers in one call; NaN
 * counts as the largest. Without gradient.
 *
 * `state`, an i32 tensor `[layers, 2]` of zeros at first, carries from call to call where the last threshold was: it
 * makes the next call faster and never changes a result.
 *
 * @throws ERR_ARGUMENT when a count is not a whole number from 0 to the size of its weight
 */
export function threshold(weights: readonly Tensor[], k: readonly number[], state?: Tensor): Thresholds {
  return run(thresholdOp, { w: weights, state }, {}, { scalars: { k } });
}
