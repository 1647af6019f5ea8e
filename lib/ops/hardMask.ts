import { defineOp, type CaseInput, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { mul } from './binary.js';
import { checkRow, type ThresholdRow } from './threshold.js';

/** For every entry whether it is kept: below a_k none, of magnitude a_k all but the first `ties`. NaN is the largest. */
function keptEntries(w: RefArray, levels: RefArray, counts: RefArray, layer: number): boolean[] {
  const lower = levels.data[3 * layer] as number;
  const pruned = counts.data[2 * layer] as number;
  let ties = counts.data[2 * layer + 1] as number;
  return Array.from(w.data, (x) => {
    if (pruned === 0) return true;
    const a = Math.abs(x);
    if (Object.is(a, lower)) return ties-- <= 0;
    return Number.isNaN(a) || a > lower;
  });
}

const levels: CaseInput = { shape: [2, 3], values: [NaN, NaN, NaN, 1, 2, 1.5] };
const counts: CaseInput = { shape: [2, 2], values: [0, 0, 5, 2] };
const tied: CaseInput = { shape: [9], values: [1, 0.5, -1, 3, 1, -0.25, -2, -1, 0] };
const cases = [
  { name: 'ties', inputs: { w: tied, levels, counts }, scalars: { layer: 1 }, grad: false },
  { name: 'nothing pruned', inputs: { w: tied, levels, counts }, scalars: { layer: 0 } },
  { inputs: { w: { shape: [6, 6], draw: 'distinct' as const }, levels, counts }, scalars: { layer: 1 } },
  { inputs: { w: { shape: [70_001], draw: 'distinct' as const }, levels, counts }, scalars: { layer: 1 }, grad: false },
  { name: 'empty', inputs: { w: [0], levels, counts }, scalars: { layer: 1 } },
  {
    name: 'special values',
    inputs: {
      w: { shape: [6], values: [NaN, 1, NaN, -Infinity, Infinity, NaN] },
      levels: { shape: [1, 3], values: [NaN, NaN, NaN] },
      counts: { shape: [1, 2], values: [4, 1] },
    },
    scalars: { layer: 0 },
    grad: false,
  },
  { name: 'bench', inputs: { w: [1 << 22], levels, counts }, scalars: { layer: 1 }, bench: true, grad: false },
] as const;

export const hardMaskOp = defineOp({
  name: 'hardMask',
  inputs: { w: 'const', levels: 'const', counts: 'const' },
  outputs: { mask: 'const' },
  scalars: { layer: 'int' },
  types: ['f32'],
  inputTypes: { counts: 'i32' },
  shapes({ w, levels, counts }, _, { layer }) {
    checkRow('hardMask', levels, counts, layer);
    return { mask: w };
  },
  reference({ w, levels, counts }, { mask }, _, { layer }) {
    keptEntries(w, levels, counts, layer).forEach((kept, i) => (mask.data[i] = kept ? 1 : 0));
  },
  cases,
});

export const applyHardMaskOp = defineOp({
  name: 'applyHardMask',
  inputs: { w: 'diff', levels: 'const', counts: 'const' },
  outputs: { y: 'diff' },
  scalars: { layer: 'int' },
  types: ['f32'],
  inputTypes: { counts: 'i32' },
  saves: ['w', 'levels', 'counts'],
  aliases: { y: 'w' },
  shapes({ w, levels, counts }, _, { layer }) {
    checkRow('applyHardMask', levels, counts, layer);
    return { y: w };
  },
  backward: ({ saved: { w, levels, counts }, grads: { y: g }, scalars: { layer } }) => ({
    w: () => mul(g, hardMask(w, { levels, counts, layer })),
  }),
  reference({ w, levels, counts }, { y }, _, { layer }) {
    keptEntries(w, levels, counts, layer).forEach((kept, i) => (y.data[i] = kept ? (w.data[i] as number) : 0));
  },
  cases,
});

/**
 * The mask that drops exactly the k entries of smallest magnitude: 0 where dropped, 1 where kept, f32, the shape of
 * `w`. Among equal magnitudes the smaller index is dropped first. Without gradient.
 *
 * @throws ERR_ARGUMENT when the row does not exist
 */
export function hardMask(w: Tensor, row: ThresholdRow): Tensor {
  const { levels, counts, layer } = row;
  return run(hardMaskOp, { w, levels, counts }, {}, { scalars: { layer } }).mask;
}

/**
 * `w` with exactly the k entries of smallest magnitude set to 0 and the others bit for bit as they were. Among equal
 * magnitudes the smaller index is dropped first. The gradient passes where the weight is kept.
 *
 * @throws ERR_ARGUMENT when the row does not exist
 */
export function applyHardMask(w: Tensor, row: ThresholdRow): Tensor {
  const { levels, counts, layer } = row;
  return run(applyHardMaskOp, { w, levels, counts }, {}, { scalars: { layer } }).y;
}
