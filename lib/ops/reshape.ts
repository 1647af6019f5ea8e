import { SecateurError } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, normalAxis, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export const reshapeOp = defineOp({
  name: 'reshape',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { shape: 'ints' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  view: () => 0,
  shapes({ x }, { shape }) {
    const holes = shape.filter((d) => d === -1).length;
    const known = sizeOf(shape.filter((d) => d !== -1));
    const size = sizeOf(x);
    if (holes > 1 || (holes === 1 && (known === 0 || size % known !== 0)) || (holes === 0 && known !== size)) {
      throw shapeError(
        'reshape',
        `${showShape(x)} to ${showShape(shape)}`,
        `${size} elements, with at most one extent -1`,
      );
    }
    return { y: shape.map((d) => (d === -1 ? size / known : d)) };
  },
  backward: ({ grads: { y: g }, inputs: { x } }) => ({ x: () => reshape(g, x.shape) }),
  reference({ x }, { y }) {
    y.data.set(x.data);
  },
  cases: [
    { inputs: { x: [2, 6] }, attrs: { shape: [3, 4] } },
    { inputs: { x: [2, 6] }, attrs: { shape: [-1] } },
    { inputs: { x: [1] }, attrs: { shape: [] } },
    { inputs: { x: [2, 6] }, attrs: { shape: [5, -1] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: '12 elements' } },
  ],
});

/** The same elements in another shape, sharing storage. One extent may be -1: whatever is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (!Array.isArray(shape)) throw shapeError('reshape', String(shape), 'a list of extents, as in reshape([2, -1])');
  return run(reshapeOp, { x }, { shape }).y;
}

/**
 * Drops the axis `dim` when its extent is 1, or all such axes without `dim`; shares storage.
 *
 * @throws ERR_ARGUMENT when the axis is not there
 */
export function squeeze(x: Tensor, dim?: number): Tensor {
  if (dim === undefined)
    return reshape(
      x,
      x.shape.filter((n) => n !== 1),
    );
  const axis = normalAxis('squeeze', dim, x.rank);
  return reshape(
    x,
    x.shape.filter((n, d) => d !== axis || n !== 1),
  );
}

/** Inserts an axis of extent 1 at `dim` of the result (negative: counted from its back); shares storage. */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const axis = normalAxis('unsqueeze', dim, x.rank + 1);
  return reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
}

/**
 * Makes one axis of the axes `startDim` (default 0) to `endDim` (default the last); shares storage. A scalar becomes
 * a vector of one element.
 *
 * @throws ERR_ARGUMENT when an axis is not there or `endDim` comes before `startDim`
 */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  const first = normalAxis('flatten', startDim, x.rank);
  const last = normalAxis('flatten', endDim, Math.max(x.rank, 1));
  if (last < first)
    throw new SecateurError('ERR_ARGUMENT', `flatten: endDim ${endDim} comes before startDim ${startDim}.`);
  return reshape(x, [...x.shape.slice(0, first), sizeOf(x.shape.slice(first, last + 1)), ...x.shape.slice(last + 1)]);
}
