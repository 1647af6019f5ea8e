// Takes a list first, so these are functions and not methods of Tensor.
import { SecateurError } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { normalAxis, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { unsqueeze } from './reshape.js';
import { narrow } from './slice.js';

export const concatOp = defineOp({
  name: 'concat',
  inputs: { xs: 'diff[]' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes({ xs }, { dim }) {
    const first = xs[0];
    if (first === undefined) throw new SecateurError('ERR_ARGUMENT', 'concat: got no tensors; needs at least one.');
    if (first.length === 0) throw shapeError('concat', 'a scalar', 'tensors with at least one axis; use stack');
    const axis = normalAxis('concat', dim, first.length);
    for (const x of xs) {
      if (x.length !== first.length || x.some((n, d) => d !== axis && n !== first[d])) {
        throw shapeError(
          'concat',
          `shapes ${showShape(first)} and ${showShape(x)}`,
          `equal extents but in axis ${axis}`,
        );
      }
    }
    return { y: first.map((n, d) => (d === axis ? xs.reduce((sum, x) => sum + (x[d] as number), 0) : n)) };
  },
  backward({ grads: { y: g }, inputs: { xs }, attrs: { dim } }) {
    const axis = normalAxis('concat', dim, g.rank);
    let at = 0;
    return {
      xs: xs.map(({ shape }) => {
        const length = shape[axis] as number;
        const start = (at += length) - length;
        return () => narrow(g, axis, start, length);
      }),
    };
  },
  reference({ xs }, { y }, { dim }) {
    const axis = dim < 0 ? dim + y.shape.length : dim;
    const inner = sizeOf(y.shape.slice(axis + 1));
    const row = (y.shape[axis] as number) * inner;
    let at = 0;
    for (const x of xs) {
      const own = (x.shape[axis] as number) * inner;
      for (let i = 0; i < x.data.length; i++) y.data[Math.floor(i / own) * row + at + (i % own)] = x.data[i] as number;
      at += own;
    }
  },
  cases: [
    {
      inputs: {
        xs: [
          [2, 3],
          [4, 3],
        ],
      },
      attrs: { dim: 0 },
    },
    {
      inputs: {
        xs: [
          [2, 3],
          [2, 1],
          [2, 5],
        ],
      },
      attrs: { dim: -1 },
    },
    {
      inputs: {
        xs: [
          [2, 3, 4],
          [2, 0, 4],
          [2, 2, 4],
        ],
      },
      attrs: { dim: 1 },
    },
    { inputs: { xs: [[5]] }, attrs: { dim: 0 } },
    { inputs: { xs: [] }, attrs: { dim: 0 }, refuses: { code: 'ERR_ARGUMENT', says: 'at least one' } },
    {
      inputs: {
        xs: [
          [2, 3],
          [3, 3],
        ],
      },
      attrs: { dim: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[3, 3]' },
    },
    { inputs: { xs: [[]] }, attrs: { dim: 0 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'stack' } },
    {
      name: 'bench',
      inputs: {
        xs: [
          [32, 28, 28, 64],
          [32, 28, 28, 64],
        ],
      },
      attrs: { dim: 3 },
      bench: true,
      grad: false,
    },
  ],
});

/**
 * Joins tensors along the axis `dim` (default 0); other extents must agree. A gradient for each.
 *
 * @throws ERR_ARGUMENT for an empty list, ERR_SHAPE_MISMATCH when other extents differ
 */
export function concat(xs: readonly Tensor[], dim = 0): Tensor {
  return run(concatOp, { xs }, { dim }).y;
}

/**
 * Joins tensors of one shape along a new axis `dim` (default 0) of the result. A gradient for each.
 *
 * @throws ERR_ARGUMENT for an empty list, ERR_SHAPE_MISMATCH when shapes differ
 */
export function stack(xs: readonly Tensor[], dim = 0): Tensor {
  return concat(
    xs.map((x) => unsqueeze(x, dim)),
    dim,
  );
}
