import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { shapeError, showShape, stridesOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sliceOp } from './slice.js';

export const padOp = defineOp({
  name: 'pad',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { before: 'ints', after: 'ints', value: 'float' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes({ x }, { before, after }) {
    const counts = [...before, ...after];
    if (before.length !== x.length || after.length !== x.length || counts.some((n) => !Number.isInteger(n) || n < 0)) {
      throw shapeError(
        'pad',
        `[${before.join(', ')}] before and [${after.join(', ')}] after for ${showShape(x)}`,
        'for each axis two whole numbers, 0 or more',
      );
    }
    return { y: x.map((n, d) => (before[d] as number) + n + (after[d] as number)) };
  },
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { before } }) => ({
    x: (to) => run(sliceOp, { x: g }, { starts: before, lengths: x.shape, steps: x.shape.map(() => 1) }, to).y,
  }),
  reference({ x }, { y }, { before, value }) {
    const from = stridesOf(x.shape);
    const to = stridesOf(y.shape);
    y.data.fill(value);
    for (let i = 0; i < x.data.length; i++) {
      let at = 0;
      for (let d = 0; d < from.length; d++) {
        const index = Math.floor(i / (from[d] as number)) % (x.shape[d] as number);
        at += (index + (before[d] as number)) * (to[d] as number);
      }
      y.data[at] = x.data[i] as number;
    }
  },
  cases: [
    { inputs: { x: [3, 5] }, attrs: { before: [1, 0], after: [0, 2], value: 0 } },
    { inputs: { x: [2, 3, 3, 4] }, attrs: { before: [0, 1, 1, 0], after: [0, 1, 1, 0], value: 3 } },
    { inputs: { x: [0, 2] }, attrs: { before: [1, 0], after: [1, 0], value: 7 } },
    { inputs: { x: [] }, attrs: { before: [], after: [], value: 0 } },
    {
      inputs: { x: [3] },
      attrs: { before: [-1], after: [0], value: 0 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '0 or more' },
    },
    {
      name: 'bench',
      inputs: { x: [128, 32, 32, 16] },
      attrs: { before: [0, 4, 4, 0], after: [0, 4, 4, 0], value: 0 },
      bench: true,
      grad: false,
    },
  ],
});

/**
 * Surrounds `x` with `value` (default 0): `padding[d]` is `[before, after]` for axis `d`, and axes that are not listed
 * at the end get none. Copies. A gradient for `x`.
 *
 * @throws ERR_SHAPE_MISMATCH for negative or fractional widths, or more of them than axes
 */
export function pad(x: Tensor, padding: readonly (readonly [number, number])[], value = 0): Tensor {
  const missing = Array.from({ length: Math.max(0, x.rank - padding.length) }, () => [0, 0] as const);
  const all = [...padding, ...missing];
  return run(padOp, { x }, { before: all.map(([b]) => b), after: all.map(([, a]) => a), value }).y;
}
