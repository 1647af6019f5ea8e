import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, shapeError, showShape, sizeOf } from '../core/shape.js';
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
  return run(reshapeOp, { x }, { shape }).y;
}
