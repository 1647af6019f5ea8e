import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, normalAxis, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkIndices } from './indices.js';
import { reshape } from './reshape.js';

function selectedShape(op: string, x: Shape, index: Shape, dim: number): Shape {
  if (x.length === 0 || index.length !== 1)
    throw shapeError(op, `x ${showShape(x)} and index ${showShape(index)}`, 'an axis in x and one in index');
  const axis = normalAxis(op, dim, x.length);
  return x.map((n, d) => (d === axis ? (index[0] as number) : n));
}

export const indexSelectOp = defineOp({
  name: 'indexSelect',
  inputs: { x: 'diff', index: 'const' },
  inputTypes: { index: 'i32' },
  outputs: { y: 'diff' },
  attrs: { dim: 'int' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  saves: ['index'],
  shapes: ({ x, index }, { dim }) => ({ y: selectedShape('indexSelect', x, index, dim) }),
  backward: ({ saved: { index }, grads: { y: g }, inputs: { x }, attrs: { dim } }) => ({
    x: (to) => run(indexSelectGradOp, { index, g }, { shape: x.shape, dim }, to).dx,
  }),
  reference({ x, index }, { y }, { dim }) {
    const axis = dim < 0 ? dim + x.shape.length : dim;
    const extent = x.shape[axis] as number;
    const inner = sizeOf(x.shape.slice(axis + 1));
    const n = index.data.length;
    checkIndices('indexSelect', index, extent);
    for (let i = 0; i < y.data.length; i++) {
      const row = Math.floor(i / inner);
      y.data[i] = x.data[
        (Math.floor(row / n) * extent + (index.data[row % n] as number)) * inner + (i % inner)
      ] as number;
    }
  },
  cases: [
    { inputs: { x: [5, 3], index: { shape: [4], values: [4, 0, 4, 1] } }, attrs: { dim: 0 } },
    { inputs: { x: [2, 5, 3], index: { shape: [6], values: [1, 1, 0, 4, 1, 3] } }, attrs: { dim: -2 } },
    { inputs: { x: [2, 5], index: { shape: [3], values: [2, 2, 2] } }, attrs: { dim: 1 } },
    { inputs: { x: [5, 3], index: [0] }, attrs: { dim: 0 } },
    {
      name: 'many repeats',
      inputs: { x: [7, 65], index: { shape: [900], draw: 'index', below: 7 } },
      attrs: { dim: 0 },
    },
    {
      inputs: { x: [5, 3], index: { shape: [1, 2], values: [0] } },
      attrs: { dim: 0 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'one in index' },
    },
    {
      name: 'bench',
      inputs: { x: [30522, 768], index: { shape: [4096], draw: 'index', below: 30522 } },
      attrs: { dim: 0 },
      bench: true,
      grad: false,
    },
  ],
});

export const indexSelectGradOp = defineOp({
  name: 'indexSelectGrad',
  inputs: { index: 'const', g: 'const' },
  inputTypes: { index: 'i32' },
  outputs: { dx: 'const' },
  attrs: { shape: 'ints', dim: 'int' },
  accumulates: true,
  shapes({ index, g }, { shape, dim }) {
    needShape('indexSelectGrad', 'g', g, selectedShape('indexSelectGrad', shape, index, dim));
    return { dx: shape };
  },
  reference({ index, g }, { dx }, { dim }) {
    const axis = dim < 0 ? dim + dx.shape.length : dim;
    const extent = dx.shape[axis] as number;
    const inner = sizeOf(dx.shape.slice(axis + 1));
    const n = index.data.length;
    checkIndices('indexSelectGrad', index, extent);
    for (let i = 0; i < g.data.length; i++) {
      const row = Math.floor(i / inner);
      const at = (Math.floor(row / n) * extent + (index.data[row % n] as number)) * inner + (i % inner);
      dx.data[at] = (dx.data[at] as number) + (g.data[i] as number);
    }
  },
  cases: [
    {
      inputs: { index: { shape: [4], values: [4, 0, 4, 1] }, g: [2, 4, 3] },
      attrs: { shape: [2, 5, 3], dim: 1 },
    },
    { inputs: { index: [0], g: [0, 3] }, attrs: { shape: [5, 3], dim: 0 } },
    {
      name: 'bench',
      inputs: { index: { shape: [4096], draw: 'index', below: 30522 }, g: [4096, 768] },
      attrs: { shape: [30522, 768], dim: 0 },
      bench: true,
    },
  ],
});

/**
 * Entries of the axis `dim`, in the order of `index` (i32, one axis; an entry may come several times). A gradient for
 * `x`: what came from one entry is added up in the order of `index`, so the sum is the same every time.
 *
 * @throws ERR_SHAPE_MISMATCH unless `index` has one axis; ERR_KERNEL for an index out of range, when the device gets to it
 */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  return run(indexSelectOp, { x, index }, { dim }).y;
}

/**
 * Rows of `weight` `[n, width]` for `ids` (i32, any shape): the result is `[...ids, width]`. A gradient for `weight`;
 * the rows of a repeated id are added up, straight into the gradient's memory where it has some.
 *
 * @throws ERR_KERNEL for an id out of range, when the device gets to it
 */
export function embedding(weight: Tensor, ids: Tensor): Tensor {
  if (weight.rank !== 2) throw shapeError('embedding', `weight ${showShape(weight.shape)}`, 'a weight [n, width]');
  return reshape(indexSelect(weight, 0, reshape(ids, [-1])), [...ids.shape, weight.shape[1] as number]);
}
