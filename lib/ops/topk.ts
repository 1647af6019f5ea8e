import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, normalAxis, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { gatherGradOp } from './gather.js';
import { reshape } from './reshape.js';

/** Indices along one fibre, best first: NaN counts as largest, equal values keep their order. */
function ranking(values: readonly number[], largest: boolean): number[] {
  const order = (a: number, b: number): number => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a < b ? -1 : a > b ? 1 : 0;
  };
  return [...values.keys()].sort((i, j) => {
    const c = order(values[i] as number, values[j] as number);
    return (largest ? -c : c) || i - j;
  });
}

/** Calls visit(values of a fibre, place of its entry i in an output with n entries along the axis). */
function eachFibre(
  x: { data: Float64Array; shape: Shape },
  dim: number,
  visit: (values: number[], place: (i: number, n: number) => number) => void,
): void {
  const axis = dim < 0 ? dim + x.shape.length : dim;
  const extent = x.shape[axis] ?? 1;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  for (let o = 0; o < outer; o++) {
    for (let j = 0; j < inner; j++) {
      const values = Array.from({ length: extent }, (_, i) => x.data[(o * extent + i) * inner + j] as number);
      visit(values, (i, n) => (o * n + i) * inner + j);
    }
  }
}

const special = { shape: [3, 5], values: [1, NaN, 3, NaN, 2, -0, 0, -0, -1, 0, Infinity, -Infinity, 4, Infinity, 4] };

export const topkOp = defineOp({
  name: 'topk',
  inputs: { x: 'diff' },
  outputs: { values: 'diff', indices: 'const' },
  outputTypes: { indices: 'i32' },
  attrs: { k: 'int', dim: 'int', largest: 'bool' },
  saves: ['indices'],
  shapes({ x }, { k, dim }) {
    const axis = normalAxis('topk', dim, x.length);
    const extent = x[axis];
    if (extent === undefined || !Number.isInteger(k) || k < 0 || k > extent)
      throw shapeError(
        'topk',
        `k ${k} for axis ${dim} of ${showShape(x)}`,
        'an axis with at least k entries, k 0 or more',
      );
    const y = x.map((n, d) => (d === axis ? k : n));
    return { values: y, indices: y };
  },
  backward: ({ saved: { indices }, grads: { values: g }, inputs: { x }, attrs: { dim } }) => ({
    x: (to) => run(gatherGradOp, { index: indices, g }, { shape: x.shape, dim }, to).dx,
  }),
  reference({ x }, { values, indices }, { k, dim, largest }) {
    eachFibre(x, dim, (fibre, place) => {
      ranking(fibre, largest)
        .slice(0, k)
        .forEach((from, i) => {
          values.data[place(i, k)] = fibre[from] as number;
          indices.data[place(i, k)] = from;
        });
    });
  },
  cases: [
    { inputs: { x: { shape: [3, 7], draw: 'distinct' } }, attrs: { k: 3, dim: -1, largest: true } },
    { inputs: { x: { shape: [9, 4], draw: 'distinct' } }, attrs: { k: 4, dim: 0, largest: false } },
    { inputs: { x: { shape: [2, 5, 3], draw: 'distinct' } }, attrs: { k: 5, dim: 1, largest: true } },
    { inputs: { x: [3, 5] }, attrs: { k: 0, dim: 1, largest: true }, grad: false },
    { name: 'many entries', inputs: { x: [2, 3001] }, attrs: { k: 5, dim: 1, largest: true }, grad: false },
    { name: 'many wanted', inputs: { x: [3001, 1] }, attrs: { k: 1100, dim: 0, largest: false }, grad: false },
    {
      name: 'ties',
      inputs: { x: { shape: [2, 40], draw: 'index', below: 3 } },
      attrs: { k: 17, dim: 1, largest: true },
      grad: false,
    },
    { name: 'special values', inputs: { x: special }, attrs: { k: 5, dim: 1, largest: true }, grad: false },
    { name: 'special values, smallest', inputs: { x: special }, attrs: { k: 5, dim: 1, largest: false }, grad: false },
    {
      inputs: { x: [2, 3] },
      attrs: { k: 4, dim: 1, largest: true },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'k 4' },
    },
    { name: 'bench', inputs: { x: [1024, 1000] }, attrs: { k: 5, dim: 1, largest: true }, bench: true, grad: false },
  ],
});

export const argmaxOp = defineOp({
  name: 'argmax',
  inputs: { x: 'const' },
  outputs: { y: 'const' },
  outputTypes: { y: 'i32' },
  attrs: { dim: 'int' },
  shapes({ x }, { dim }) {
    const axis = normalAxis('argmax', dim, x.length);
    if (x[axis] === undefined || x[axis] === 0)
      throw shapeError('argmax', `axis ${dim} of ${showShape(x)}`, 'an axis with at least one entry');
    return { y: x.filter((_, d) => d !== axis) };
  },
  reference({ x }, { y }, { dim }) {
    eachFibre(x, dim, (fibre, place) => (y.data[place(0, 1)] = ranking(fibre, true)[0] as number));
  },
  cases: [
    { inputs: { x: [3, 70] }, attrs: { dim: 1 } },
    { inputs: { x: [5, 4] }, attrs: { dim: 0 } },
    { inputs: { x: [2, 9, 33] }, attrs: { dim: -2 } },
    { inputs: { x: [0, 3] }, attrs: { dim: 1 } },
    { name: 'ties', inputs: { x: { shape: [4, 50], draw: 'index', below: 2 } }, attrs: { dim: 1 } },
    { name: 'many ties', inputs: { x: { shape: [700, 2], draw: 'index', below: 2 } }, attrs: { dim: 0 } },
    { name: 'many entries', inputs: { x: [2, 9001] }, attrs: { dim: 1 } },
    { name: 'special values', inputs: { x: special }, attrs: { dim: 1 } },
    { name: 'special values by rows', inputs: { x: special }, attrs: { dim: 0 } },
    { inputs: { x: [2, 0] }, attrs: { dim: 1 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'at least one entry' } },
    { name: 'bench', inputs: { x: [4096, 1000] }, attrs: { dim: 1 }, bench: true },
  ],
});

export interface TopkOptions {
  /** The axis to choose along (default the last). */
  dim?: number;
  /** The largest (default) or the smallest. */
  largest?: boolean;
}

/**
 * The `k` largest (or smallest) entries along an axis, best first, and where they were: `{ values, indices }`, both
 * with extent `k` in that axis, indices i32. NaN counts as largest; of equal entries the earlier comes first. The
 * gradient of `values` goes to the chosen entries.
 *
 * @throws ERR_SHAPE_MISMATCH when the axis has fewer than `k` entries, ERR_ARGUMENT when it is not there
 */
export function topk(x: Tensor, k: number, options: TopkOptions = {}): { values: Tensor; indices: Tensor } {
  checkOptions('topk', options, ['dim', 'largest']);
  const { values, indices } = run(topkOp, { x }, { k, dim: options.dim ?? -1, largest: options.largest ?? true });
  return { values, indices };
}

export interface ArgmaxOptions {
  /** The axis to choose along. Default: the whole tensor, as if it had one axis. */
  dim?: number;
  /** Keep the axis with extent 1 (default false). */
  keepdim?: boolean;
}

/**
 * Index (i32) of the largest entry along `dim`, or in the whole tensor read row by row. NaN counts as largest; the
 * first of equal entries wins. No gradient.
 *
 * @throws ERR_SHAPE_MISMATCH when there is nothing to choose from, ERR_ARGUMENT when the axis is not there
 */
export function argmax(x: Tensor, options: ArgmaxOptions = {}): Tensor {
  checkOptions('argmax', options, ['dim', 'keepdim']);
  const { dim, keepdim = false } = options;
  if (dim === undefined) {
    const at = run(argmaxOp, { x: reshape(x, [-1]) }, { dim: 0 }).y;
    return keepdim
      ? reshape(
          at,
          x.shape.map(() => 1),
        )
      : at;
  }
  if (x.rank === 0) return argmax(reshape(x, [1]), { dim });
  const y = run(argmaxOp, { x }, { dim }).y;
  const axis = normalAxis('argmax', dim, x.rank);
  return keepdim
    ? reshape(
        y,
        x.shape.map((n, d) => (d === axis ? 1 : n)),
      )
    : y;
}
