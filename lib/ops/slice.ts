import { SecateurError } from '../core/errors.js';
import { type OpCase, type RefArray, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, normalAxis, shapeError, showShape, sizeOf, stridesOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

/** Where element `i` of a slice lies in the tensor that is sliced. */
function placeOf(slice: Shape, whole: Shape, starts: readonly number[], steps: readonly number[]) {
  const inner = stridesOf(slice);
  const outer = stridesOf(whole);
  return (i: number): number => {
    let at = 0;
    for (let d = 0; d < slice.length; d++) {
      const index = Math.floor(i / (inner[d] as number)) % (slice[d] as number);
      at += ((starts[d] as number) + index * (steps[d] as number)) * (outer[d] as number);
    }
    return at;
  };
}

function check(op: string, x: Shape, starts: readonly number[], lengths: Shape, steps: readonly number[]): void {
  for (const [d, n] of x.entries()) {
    const [start, length, step] = [starts[d], lengths[d], steps[d]] as [number, number, number];
    const whole = [start, length, step].every(Number.isInteger);
    if (
      !whole ||
      step < 1 ||
      start < 0 ||
      length < 0 ||
      start > n ||
      (length > 0 && start + (length - 1) * step >= n)
    ) {
      throw shapeError(
        op,
        `start ${start}, length ${length} and step ${step} in axis ${d} of ${showShape(x)}`,
        `whole numbers that stay inside its extent ${n}, with a step of at least 1`,
      );
    }
  }
}

export const sliceOp = defineOp({
  name: 'slice',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { starts: 'ints', lengths: 'ints', steps: 'ints' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  shapes({ x }, { starts, lengths, steps }) {
    if ([starts, lengths, steps].some((list) => list.length !== x.length))
      throw shapeError('slice', `${starts.length} starts for ${showShape(x)}`, 'a start, a length and a step an axis');
    check('slice', x, starts, lengths, steps);
    return { y: lengths };
  },
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { starts, steps } }) => ({
    x: (to) => run(sliceGradOp, { g }, { shape: x.shape, starts, steps }, to).dx,
  }),
  reference({ x }, { y }, { starts, steps }) {
    const at = placeOf(y.shape, x.shape, starts, steps);
    for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[at(i)] as number;
  },
  cases: [
    { inputs: { x: [4, 5] }, attrs: { starts: [1, 0], lengths: [2, 5], steps: [1, 1] } },
    { inputs: { x: [4, 5] }, attrs: { starts: [0, 1], lengths: [4, 2], steps: [1, 2] } },
    { inputs: { x: [3, 40, 5] }, attrs: { starts: [0, 3, 0], lengths: [3, 18, 5], steps: [1, 2, 1] } },
    { inputs: { x: [4, 5] }, attrs: { starts: [4, 0], lengths: [0, 5], steps: [1, 1] } },
    { inputs: { x: [] }, attrs: { starts: [], lengths: [], steps: [] } },
    {
      inputs: { x: [4, 5] },
      attrs: { starts: [3, 0], lengths: [2, 5], steps: [1, 1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'stay inside' },
    },
    {
      name: 'bench',
      inputs: { x: [64, 512, 192] },
      attrs: { starts: [0, 0, 64], lengths: [64, 512, 64], steps: [1, 1, 1] },
      bench: true,
      grad: false,
    },
  ],
});

export const sliceGradOp = defineOp({
  name: 'sliceGrad',
  inputs: { g: 'const' },
  outputs: { dx: 'const' },
  attrs: { shape: 'ints', starts: 'ints', steps: 'ints' },
  shapes({ g }, { shape, starts, steps }) {
    if (g.length !== shape.length)
      throw shapeError('sliceGrad', `g of shape ${showShape(g)}`, `as many axes as ${showShape(shape)}`);
    check('sliceGrad', shape, starts, g, steps);
    return { dx: shape };
  },
  reference({ g }, { dx }, { starts, steps }) {
    const at = placeOf(g.shape, dx.shape, starts, steps);
    for (let i = 0; i < g.data.length; i++) dx.data[at(i)] = g.data[i] as number;
  },
  cases: [
    { inputs: { g: [2, 3] }, attrs: { shape: [4, 6], starts: [1, 1], steps: [2, 2] } },
    { inputs: { g: [0, 3] }, attrs: { shape: [4, 3], starts: [0, 0], steps: [1, 1] } },
  ] satisfies OpCase[],
});

export const narrowOp = defineOp({
  name: 'narrow',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { start: 'int', length: 'int' },
  types: ['f32', 'bf16', 'i32', 'u8'],
  view: ({ x }, { start }) => start * sizeOf(x.slice(1)),
  shapes({ x }, { start, length }) {
    if (x.length === 0) throw shapeError('narrow', 'a scalar', 'at least one axis');
    check('narrow', [x[0] as number], [start], [length], [1]);
    return { y: [length, ...x.slice(1)] };
  },
  backward: ({ grads: { y: g }, inputs: { x }, attrs: { start } }) => ({
    x: (to) => run(sliceGradOp, { g }, { shape: x.shape, ...alongFirst(x.shape, start) }, to).dx,
  }),
  reference({ x }: { x: RefArray }, { y }: { y: RefArray }, { start }: { start: number }) {
    const from = start * sizeOf(x.shape.slice(1));
    y.data.set(x.data.subarray(from, from + y.data.length));
  },
  cases: [
    { inputs: { x: [5, 3] }, attrs: { start: 1, length: 3 } },
    { inputs: { x: [5] }, attrs: { start: 5, length: 0 } },
    { inputs: { x: [5] }, attrs: { start: 3, length: 3 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'narrow' } },
    { inputs: { x: [] }, attrs: { start: 0, length: 1 }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'one axis' } },
  ],
});

function alongFirst(shape: Shape, start: number): { starts: number[]; steps: number[] } {
  return { starts: shape.map((_, d) => (d === 0 ? start : 0)), steps: shape.map(() => 1) };
}

/**
 * The elements from `starts` up to (not including) `ends` in every axis, every `steps`-th of them (default 1). Missing
 * axes at the end are taken whole; negative starts and ends count from the back, and both are clamped to the extent, as
 * in Python. Copies. A gradient for `x`.
 *
 * @throws ERR_ARGUMENT for more entries than axes, or a step below 1
 */
export function slice(
  x: Tensor,
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = [],
): Tensor {
  if (Math.max(starts.length, ends.length, steps.length) > x.rank || steps.some((s) => !Number.isInteger(s) || s < 1)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `slice: got starts [${starts.join(', ')}], ends [${ends.join(', ')}], steps [${steps.join(', ')}]; needs at most ${x.rank} of each, with steps of at least 1.`,
      { starts, ends, steps },
    );
  }
  const bound = (i: number, n: number): number => Math.min(n, Math.max(0, i < 0 ? i + n : i));
  const from = x.shape.map((n, d) => bound(starts[d] ?? 0, n));
  const every = x.shape.map((_, d) => steps[d] ?? 1);
  const lengths = x.shape.map((n, d) =>
    Math.max(0, Math.ceil((bound(ends[d] ?? n, n) - (from[d] as number)) / (every[d] as number))),
  );
  return run(sliceOp, { x }, { starts: from, lengths, steps: every }).y;
}

/**
 * `length` entries of the axis `dim`, from `start` on (negative: counted from the back). Along the first axis the
 * result is a view that shares storage with `x`; along another it is a copy. A gradient for `x`.
 *
 * @throws ERR_ARGUMENT when the axis is not there, ERR_SHAPE_MISMATCH when the range leaves it
 */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const axis = normalAxis('narrow', dim, x.rank);
  const from = start < 0 ? start + (x.shape[axis] ?? 0) : start;
  if (axis === 0) return run(narrowOp, { x }, { start: from, length }).y;
  return run(
    sliceOp,
    { x },
    {
      starts: x.shape.map((_, d) => (d === axis ? from : 0)),
      lengths: x.shape.map((n, d) => (d === axis ? length : n)),
      steps: x.shape.map(() => 1),
    },
  ).y;
}

/**
 * Cuts `x` along `dim` (default 0) into pieces of `sizes`, or of one size (the last piece may be smaller). Pieces along
 * the first axis are views.
 *
 * @throws ERR_SHAPE_MISMATCH when sizes do not add up to the extent
 */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const axis = normalAxis('split', dim, x.rank);
  const n = x.shape[axis] ?? 1;
  if (typeof sizes === 'number' && !(Number.isInteger(sizes) && sizes > 0))
    throw new SecateurError('ERR_ARGUMENT', `split: a size of ${sizes}; needs a whole number above 0.`, { sizes });
  const list =
    typeof sizes === 'number'
      ? Array.from({ length: Math.ceil(n / sizes) }, (_, i) => Math.min(sizes, n - i * sizes))
      : sizes;
  const total = list.reduce((a, b) => a + b, 0);
  if (total !== n) throw shapeError('split', `sizes that add up to ${total}`, `the extent ${n} of axis ${axis}`);
  let at = 0;
  return list.map((length) => narrow(x, axis, (at += length) - length, length));
}
