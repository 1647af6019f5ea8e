import { defineOp, type Into, type Thunk } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, broadcastShapes, sameShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkOptions } from '../core/errors.js';
import { sumThunk, sumTo } from './broadcast.js';
import { reshape } from './reshape.js';

export interface MatmulOptions {
  /** Use the transpose of the last two axes of `a` (default false). */
  transA?: boolean;
  /** Likewise for `b`. */
  transB?: boolean;
}

const rows = (s: Shape, trans: boolean): number => s[s.length - (trans ? 1 : 2)] as number;
const cols = (s: Shape, trans: boolean): number => s[s.length - (trans ? 2 : 1)] as number;

export const matmulOp = defineOp({
  name: 'matmul',
  inputs: { a: 'diff', b: 'diff', bias: 'diff?' },
  outputs: { c: 'diff' },
  attrs: { transA: 'bool', transB: 'bool' },
  saves: ['a', 'b'],
  layouts: 'b',
  cast: 'low',
  accumulates: true,
  shapes({ a, b, bias }, { transA, transB }) {
    if (a.length < 2 || b.length < 2)
      throw shapeError('matmul', `shapes ${showShape(a)} and ${showShape(b)}`, 'at least two axes in each');
    if (cols(a, transA) !== rows(b, transB)) {
      throw shapeError(
        'matmul',
        `${showShape(a)}${transA ? ' transposed' : ''} times ${showShape(b)}${transB ? ' transposed' : ''}`,
        `equal inner extents, not ${cols(a, transA)} and ${rows(b, transB)}`,
      );
    }
    const n = cols(b, transB);
    if (bias !== undefined && (bias.length !== 1 || bias[0] !== n))
      throw shapeError('matmul', `bias of shape ${showShape(bias)}`, `[${n}]`);
    return { c: [...broadcastShapes('matmul', a.slice(0, -2), b.slice(0, -2)), rows(a, transA), n] };
  },
  backward: ({ saved: { a, b }, attrs, grads: { c: g } }) => matmulThunk(a, b, attrs, g),
  reference({ a, b, bias }, { c }, { transA, transB }) {
    const m = rows(a.shape, transA);
    const k = cols(a.shape, transA);
    const n = cols(b.shape, transB);
    const batches = c.shape.slice(0, -2);
    const total = batches.reduce((x, y) => x * y, 1);
    for (let q = 0; q < total; q++) {
      const qa = batchIndex(q, batches, a.shape.slice(0, -2)) * m * k;
      const qb = batchIndex(q, batches, b.shape.slice(0, -2)) * k * n;
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let sum = bias === undefined ? 0 : (bias.data[j] as number);
          for (let p = 0; p < k; p++) {
            sum +=
              (a.data[qa + (transA ? p * m + i : i * k + p)] as number) *
              (b.data[qb + (transB ? j * k + p : p * n + j)] as number);
          }
          c.data[(q * m + i) * n + j] = sum;
        }
      }
    }
  },
  cases: [
    { inputs: { a: [3, 4], b: [4, 5] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [4, 3], b: [4, 5] }, attrs: { transA: true, transB: false } },
    { inputs: { a: [3, 4], b: [5, 4], bias: [5] }, attrs: { transA: false, transB: true } },
    { inputs: { a: [4, 3], b: [5, 4] }, attrs: { transA: true, transB: true } },
    { inputs: { a: [2, 3, 4], b: [2, 4, 5] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [2, 1, 3, 4], b: [3, 4, 2] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [2, 3, 4], b: [4, 5] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [2, 3, 4], b: [5, 4], bias: [5] }, attrs: { transA: false, transB: true } },
    { inputs: { a: [2, 4, 3], b: [4, 5] }, attrs: { transA: true, transB: false } },
    { inputs: { a: [3, 4], b: [2, 5, 4], bias: [5] }, attrs: { transA: false, transB: true } },
    { inputs: { a: [2, 3, 4, 5], b: [2, 3, 4, 6] }, attrs: { transA: true, transB: false } },
    { inputs: { a: [2, 0, 4], b: [4, 5] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [0, 4], b: [4, 5] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [3, 0], b: [0, 2], bias: [2] }, attrs: { transA: false, transB: false } },
    { inputs: { a: [65, 127], b: [127, 33] }, attrs: { transA: false, transB: false }, grad: false },
    {
      name: 'many tiles',
      inputs: { a: [300, 70], b: [70, 261] },
      attrs: { transA: false, transB: false },
      grad: false,
    },
    { name: 'many tiles', inputs: { a: [72, 264], b: [272, 72] }, attrs: { transA: true, transB: true }, grad: false },
    { name: 'many tiles', inputs: { a: [75, 264], b: [75, 260] }, attrs: { transA: true, transB: false }, grad: false },
    { name: 'many tiles', inputs: { a: [257, 67], b: [270, 67] }, attrs: { transA: false, transB: true }, grad: false },
    {
      name: 'few rows, depth in whole tiles',
      inputs: { a: [37, 64], b: [45, 64], bias: [45] },
      attrs: { transA: false, transB: true },
      grad: false,
    },
    { name: 'one row', inputs: { a: [1, 96], b: [7, 96] }, attrs: { transA: false, transB: true }, grad: false },
    {
      name: 'rows of all matrices, depth in whole tiles',
      inputs: { a: [3, 345, 32], b: [45, 32], bias: [45] },
      attrs: { transA: false, transB: true },
      grad: false,
    },
    {
      name: 'many rows, depth in whole tiles',
      inputs: { a: [1057, 160], b: [160, 77], bias: [77] },
      attrs: { transA: false, transB: false },
      grad: false,
    },
    {
      name: 'several groups of columns',
      inputs: { a: [131, 1088], b: [560, 1088] },
      attrs: { transA: false, transB: true },
      grad: false,
    },
    {
      name: 'special values in tiles',
      inputs: {
        a: { shape: [2, 32], values: Array.from({ length: 64 }, (_, i) => (i === 3 ? NaN : i === 40 ? Infinity : 1)) },
        b: { shape: [3, 32], values: Array.from({ length: 96 }, (_, i) => (i === 8 ? 0 : i === 50 ? -Infinity : 1)) },
      },
      attrs: { transA: false, transB: true },
      grad: false,
    },
    {
      name: 'long sums',
      inputs: { a: [1601, 24], b: [1601, 40], bias: [40] },
      attrs: { transA: true, transB: false },
      grad: false,
    },
    {
      name: 'special values',
      inputs: {
        a: { shape: [3, 2], values: [NaN, 1, Infinity, 1, 0, 1] },
        b: { shape: [2, 2], values: [1, 0, 2, Infinity] },
        bias: { shape: [2], values: [1, -1] },
      },
      attrs: { transA: false, transB: false },
      grad: false,
    },
    {
      inputs: { a: [3, 4], b: [5, 6] },
      attrs: { transA: false, transB: false },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'inner extents' },
    },
    {
      name: 'bench',
      inputs: { a: [1024, 1024], b: [1024, 1024] },
      attrs: { transA: false, transB: false },
      bench: true,
      grad: false,
    },
  ],
  tolerance: { f32: 2e-5, bf16: 2e-2, why: 'sums of up to 1601 products; bf16 has 8 bits' },
  cost: ({ a }, { c }, { transA }) => ({ flops: 2 * c.reduce((x, y) => x * y, 1) * cols(a, transA) }),
});

/** The gradients of a product's operands and bias, from that of its result. */
export function matmulThunk(
  a: Tensor,
  b: Tensor,
  { transA, transB }: Required<MatmulOptions>,
  g: Tensor,
): { a: Thunk; b: Thunk; bias: Thunk } {
  return {
    a: (to) => (transA ? product(b, g, transB, true, a.shape, to) : product(g, b, false, !transB, a.shape, to)),
    b(to) {
      // One matrix b served all of a batch: the batch is then only more rows of one product.
      const together = b.rank === 2 && a.rank > 2 && !transA;
      const [x, up] = together ? [asRows(a), asRows(g)] : [a, g];
      return transB ? product(up, x, true, transA, b.shape, to) : product(x, up, !transA, false, b.shape, to);
    },
    bias: sumThunk(g, [g.shape[g.rank - 1] as number]),
  };
}

function asRows(x: Tensor): Tensor {
  const n = x.shape[x.rank - 1] as number;
  return reshape(x, [sizeOf(x.shape.slice(0, -1)), n]);
}

/** A product that is the gradient of an operand of this shape: summed over the batch axes the operand was repeated over. */
function product(a: Tensor, b: Tensor, transA: boolean, transB: boolean, shape: Shape, to: Into): Tensor {
  const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (sameShape(batch, shape.slice(0, -2))) return run(matmulOp, { a, b }, { transA, transB }, to).c;
  return sumTo(run(matmulOp, { a, b }, { transA, transB }).c, shape);
}

function batchIndex(q: number, full: Shape, own: Shape): number {
  let at = 0;
  let rest = q;
  let step = 1;
  for (let d = full.length - 1, o = own.length - 1; o >= 0; d--, o--) {
    const i = rest % (full[d] as number);
    rest = Math.floor(rest / (full[d] as number));
    if (own[o] !== 1) at += i * step;
    step *= own[o] as number;
  }
  return at;
}

/**
 * Matrix product `c = a b (+ bias)` over the last two axes.
 *
 * `a` is `[..., m, k]` (`[..., k, m]` with `transA`), `b` is `[..., k, n]` (`[..., n, k]` with `transB`), `bias` is
 * `[n]`, `c` is `[..., m, n]`; leading axes broadcast. A gradient for `a`, `b` and `bias`. Sums accumulate in f32.
 *
 * @throws ERR_SHAPE_MISMATCH when the inner extents differ or the leading axes do not broadcast.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkOptions('matmul', options, ['transA', 'transB']);
  return run(matmulOp, { a, b }, { transA: options.transA ?? false, transB: options.transB ?? false }).c;
}

/** `y = x w^T + bias`: `x [..., in]`, `w [out, in]`, `bias [out]`. The layer of fully connected networks. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return run(matmulOp, { a: x, b: weight, bias }, { transA: false, transB: true }).c;
}
