import { SecateurError } from '../core/errors.js';
import { type Into, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { normalAxis, stridesOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export const permuteOp = defineOp({
  name: 'permute',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { dims: 'ints' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes({ x }, { dims }) {
    const axes = dims.map((d) => normalAxis('permute', d, x.length));
    if (axes.length !== x.length || new Set(axes).size !== x.length) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `permute: got dims [${dims.join(', ')}]; needs each of the ${x.length} axes once.`,
        { dims },
      );
    }
    return { y: axes.map((d) => x[d] as number) };
  },
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { dims } }) => ({
    x: (to) => permuted(g, inverse(dims, x.shape.length), to),
  }),
  reference({ x }, { y }, { dims }) {
    const from = stridesOf(x.shape);
    const to = stridesOf(y.shape);
    const rank = x.shape.length;
    for (let i = 0; i < y.data.length; i++) {
      let at = 0;
      dims.forEach((d, axis) => {
        const index = Math.floor(i / (to[axis] as number)) % (y.shape[axis] as number);
        at += index * (from[d < 0 ? d + rank : d] as number);
      });
      y.data[i] = x.data[at] as number;
    }
  },
  cases: [
    { inputs: { x: [3, 5] }, attrs: { dims: [1, 0] } },
    { inputs: { x: [2, 3, 4, 5] }, attrs: { dims: [0, 3, 1, 2] } },
    { inputs: { x: [2, 3, 4, 5] }, attrs: { dims: [0, 2, -1, 1] } },
    { inputs: { x: [2, 3, 4] }, attrs: { dims: [2, 1, 0] } },
    { inputs: { x: [2, 3, 4] }, attrs: { dims: [1, 0, 2] } },
    { inputs: { x: [] }, attrs: { dims: [] } },
    { inputs: { x: [0, 3] }, attrs: { dims: [1, 0] } },
    { name: 'over tiles', inputs: { x: [67, 131] }, attrs: { dims: [1, 0] }, grad: false },
    { name: 'thin', inputs: { x: [2, 3, 1000] }, attrs: { dims: [0, 2, 1] }, grad: false },
    { name: 'six axes', inputs: { x: [2, 3, 2, 3, 9, 10] }, attrs: { dims: [5, 2, 0, 4, 1, 3] }, grad: false },
    {
      inputs: { x: [2, 3] },
      attrs: { dims: [0, 0] },
      refuses: { code: 'ERR_ARGUMENT', says: 'each of the 2 axes once' },
    },
    { inputs: { x: [2, 3] }, attrs: { dims: [0] }, refuses: { code: 'ERR_ARGUMENT', says: 'each of the 2 axes once' } },
    { name: 'bench', inputs: { x: [32, 56, 56, 64] }, attrs: { dims: [0, 3, 1, 2] }, bench: true, grad: false },
  ],
});

function permuted(x: Tensor, dims: readonly number[], to: Into): Tensor {
  return run(permuteOp, { x }, { dims }, to).y;
}

function inverse(dims: readonly number[], rank: number): number[] {
  const back = new Array<number>(rank);
  dims.forEach((d, axis) => (back[d < 0 ? d + rank : d] = axis));
  return back;
}

/**
 * Reorders the axes: axis `i` of the result is axis `dims[i]` of `x`. Copies, in tiles. A gradient for `x`.
 *
 * @throws ERR_ARGUMENT unless `dims` names every axis once
 */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  if (!Array.isArray(dims))
    throw new SecateurError(
      'ERR_ARGUMENT',
      `permute: got ${String(dims)}; needs a list of axes, as in permute([1, 0]).`,
    );
  return run(permuteOp, { x }, { dims }).y;
}

/** Exchanges two axes of `x`; copies. A gradient for `x`. ERR_ARGUMENT when an axis is not there. */
export function transpose(x: Tensor, dim0: number, dim1: number): Tensor {
  const dims = [...x.shape.keys()];
  const [a, b] = [normalAxis('transpose', dim0, x.rank), normalAxis('transpose', dim1, x.rank)];
  if (x.rank > 0) [dims[a], dims[b]] = [b, a];
  return permute(x, dims);
}
