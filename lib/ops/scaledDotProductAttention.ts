import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, sameShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export interface AttentionOptions {
  /** Query i sees only the keys 0 to i (default false). */
  causal?: boolean;
  /** u8 `[batch, keys]`: 1 where a key may be seen (default: all). Hidden keys and values have to be finite. */
  keyMask?: Tensor;
  /** Factor of the scores (default `1 / sqrt(D)`). */
  scale?: number;
}

const attrs = { causal: 'bool', scale: 'float' } as const;
const name = 'scaledDotProductAttention';

function check(op: string, q: Shape, k: Shape, v: Shape, keyMask: Shape | undefined, scale: number): void {
  const fits = q.length === 4 && k.length === 4 && sameShape(k, v) && q[0] === k[0] && q[1] === k[1] && q[3] === k[3];
  if (!fits) {
    throw shapeError(
      op,
      `q ${showShape(q)}, k ${showShape(k)}, v ${showShape(v)}`,
      'q [batch, heads, queries, D], k and v [batch, heads, keys, D]',
    );
  }
  needShape(op, 'keyMask', keyMask, [k[0] as number, k[2] as number]);
  if (!Number.isFinite(scale))
    throw new SecateurError('ERR_ARGUMENT', `${op}: scale is ${scale}; needs a finite number.`, { scale });
}

/** Scores of one query against all keys of its head, `-Infinity` where it may not look, in double precision. */
function scoresOf(
  q: RefArray,
  k: RefArray,
  keyMask: RefArray | undefined,
  row: number,
  { causal, scale }: { causal: boolean; scale: number },
): number[] {
  const [, heads, queries, d] = q.shape as [number, number, number, number];
  const keys = k.shape[2] as number;
  const head = Math.floor(row / queries);
  const batch = Math.floor(head / heads);
  return Array.from({ length: keys }, (_, j) => {
    if ((causal && j > row % queries) || keyMask?.data[batch * keys + j] === 0) return -Infinity;
    let dot = 0;
    for (let c = 0; c < d; c++) dot += (q.data[row * d + c] as number) * (k.data[(head * keys + j) * d + c] as number);
    return dot * scale;
  });
}

export const scaledDotProductAttentionOp = defineOp({
  name: 'scaledDotProductAttention',
  inputs: { q: 'diff', k: 'diff', v: 'diff', keyMask: 'const?' },
  // lse: the logarithm of each query's sum of exponentials, from which backward computes the probabilities again
  outputs: { y: 'diff', lse: 'saved' },
  attrs,
  inputTypes: { keyMask: 'u8' },
  outputTypes: { lse: 'f32' },
  saves: ['q', 'k', 'v', 'keyMask', 'y', 'lse'],
  cast: 'low',
  shapes({ q, k, v, keyMask }, { scale }) {
    check(name, q, k, v, keyMask, scale);
    return { y: q, lse: q.slice(0, 3) };
  },
  backward({ saved, attrs, grads: { y: g } }) {
    // One kernel gives all three; whichever thunk comes first runs it.
    let made: { dq: Tensor; dk: Tensor; dv: Tensor } | undefined;
    const grads = () => (made ??= run(scaledDotProductAttentionGradOp, { ...saved, g }, attrs));
    return { q: () => grads().dq, k: () => grads().dk, v: () => grads().dv };
  },
  reference({ q, k, v, keyMask }, { y, lse }, attrs) {
    const [, , queries, d] = q.shape as [number, number, number, number];
    const keys = k.shape[2] as number;
    for (let row = 0; row < lse.data.length; row++) {
      const scores = scoresOf(q, k, keyMask, row, attrs);
      const largest = scores.reduce((a, b) => (b > a ? b : a), -Infinity);
      const sum = scores.reduce((a, s) => a + (s === -Infinity ? 0 : Math.exp(s - largest)), 0);
      lse.data[row] = largest + Math.log(sum);
      if (sum === 0) continue;
      const head = Math.floor(row / queries);
      scores.forEach((s, j) => {
        if (s === -Infinity) return;
        const p = Math.exp(s - largest) / sum;
        for (let c = 0; c < d; c++)
          y.data[row * d + c] = (y.data[row * d + c] as number) + p * (v.data[(head * keys + j) * d + c] as number);
      });
    }
  },
  cases: [
    {
      inputs: { q: [2, 3, 5, 4], k: [2, 3, 7, 4], v: [2, 3, 7, 4] },
      attrs: { causal: false, scale: 0.5 },
    },
    { inputs: { q: [1, 2, 6, 3], k: [1, 2, 6, 3], v: [1, 2, 6, 3] }, attrs: { causal: true, scale: 0.7 } },
    { inputs: { q: [1, 1, 3, 5], k: [1, 1, 6, 5], v: [1, 1, 6, 5] }, attrs: { causal: true, scale: 1 } },
    { inputs: { q: [1, 1, 6, 5], k: [1, 1, 2, 5], v: [1, 1, 2, 5] }, attrs: { causal: true, scale: 1 } },
    {
      name: 'heads of 8, all seen',
      inputs: { q: [2, 2, 5, 8], k: [2, 2, 7, 8], v: [2, 2, 7, 8] },
      attrs: { causal: false, scale: 0.35 },
    },
    {
      name: 'padded keys',
      inputs: {
        q: [2, 2, 4, 8],
        k: [2, 2, 5, 8],
        v: [2, 2, 5, 8],
        keyMask: { shape: [2, 5], values: [1, 1, 1, 0, 0, 1, 0, 1, 1, 1] },
      },
      attrs: { causal: false, scale: 0.35 },
    },
    {
      name: 'a query with no key gives zeros',
      inputs: {
        q: [2, 1, 6, 8],
        k: [2, 1, 6, 8],
        v: [2, 1, 6, 8],
        keyMask: { shape: [2, 6], values: [0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0] },
      },
      attrs: { causal: true, scale: 0.5 },
    },
    { inputs: { q: [1, 2, 0, 4], k: [1, 2, 3, 4], v: [1, 2, 3, 4] }, attrs: { causal: false, scale: 1 } },
    { inputs: { q: [1, 1, 2, 4], k: [1, 1, 0, 4], v: [1, 1, 0, 4] }, attrs: { causal: false, scale: 1 } },
    {
      name: 'several blocks of queries',
      inputs: { q: [1, 3, 77, 20], k: [1, 3, 93, 20], v: [1, 3, 93, 20] },
      attrs: { causal: true, scale: 0.22 },
      grad: false,
    },
    {
      name: 'tiles of 64 queries and keys',
      inputs: {
        q: [1, 2, 70, 64],
        k: [1, 2, 131, 64],
        v: [1, 2, 131, 64],
        keyMask: { shape: [1, 131], values: [1, 1, 0, 1, 1, 1, 0] },
      },
      attrs: { causal: true, scale: 0.125 },
      grad: false,
    },
    {
      name: 'heads of 72',
      inputs: { q: [1, 1, 67, 72], k: [1, 1, 35, 72], v: [1, 1, 35, 72] },
      attrs: { causal: true, scale: 0.12 },
      grad: false,
    },
    {
      name: 'heads of 134',
      inputs: { q: [2, 1, 5, 134], k: [2, 1, 4, 134], v: [2, 1, 4, 134] },
      attrs: { causal: true, scale: 0.08 },
    },
    {
      name: 'special values',
      inputs: {
        q: { shape: [1, 1, 3, 2], values: [NaN, 1, Infinity, 1, 1, 1] },
        k: { shape: [1, 1, 2, 2], values: [1, 2, 3, 4] },
        v: [1, 1, 2, 2],
      },
      attrs: { causal: false, scale: 1 },
      grad: false,
    },
    {
      name: 'keys of another width',
      inputs: { q: [1, 2, 3, 4], k: [1, 2, 3, 5], v: [1, 2, 3, 5] },
      attrs: { causal: false, scale: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'k and v [batch, heads, keys, D]' },
    },
    {
      name: 'a mask over queries',
      inputs: { q: [1, 2, 3, 4], k: [1, 2, 5, 4], v: [1, 2, 5, 4], keyMask: [1, 3] },
      attrs: { causal: false, scale: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'keyMask of shape [1, 3]' },
    },
    {
      name: 'bench',
      inputs: { q: [8, 12, 128, 64], k: [8, 12, 128, 64], v: [8, 12, 128, 64] },
      attrs: { causal: false, scale: 0.125 },
      bench: true,
    },
  ],
  tolerance: { f32: 2e-5, bf16: 1e-2, why: 'two products and an exponential, one after the other' },
  cost: ({ q, k }) => ({ flops: 4 * sizeOf(q) * (k[2] as number) }),
});

/** With P the probabilities: dS = P (g V^T - delta), where delta, a query's sum of P (g V^T), is that of g y. */
export const scaledDotProductAttentionGradOp = defineOp({
  name: 'scaledDotProductAttentionGrad',
  inputs: { q: 'const', k: 'const', v: 'const', keyMask: 'const?', y: 'const', lse: 'const', g: 'const' },
  outputs: { dq: 'const', dk: 'const', dv: 'const' },
  attrs,
  inputTypes: { keyMask: 'u8', lse: 'f32' },
  shapes({ q, k, v, keyMask, y, lse, g }, { scale }) {
    check('scaledDotProductAttentionGrad', q, k, v, keyMask, scale);
    needShape('scaledDotProductAttentionGrad', 'y', y, q);
    needShape('scaledDotProductAttentionGrad', 'lse', lse, q.slice(0, 3));
    needShape('scaledDotProductAttentionGrad', 'g', g, q);
    return { dq: q, dk: k, dv: v };
  },
  reference({ q, k, v, keyMask, y, lse, g }, { dq, dk, dv }, attrs) {
    const [, , queries, d] = q.shape as [number, number, number, number];
    const keys = k.shape[2] as number;
    const add = (to: RefArray, at: number, x: number): void => {
      to.data[at] = (to.data[at] as number) + x;
    };
    for (let row = 0; row < lse.data.length; row++) {
      const head = Math.floor(row / queries);
      const p = scoresOf(q, k, keyMask, row, attrs).map((s) =>
        s === -Infinity ? 0 : Math.exp(s - (lse.data[row] as number)),
      );
      const dp = p.map((_, j) => {
        let dot = 0;
        for (let c = 0; c < d; c++)
          dot += (g.data[row * d + c] as number) * (v.data[(head * keys + j) * d + c] as number);
        return dot;
      });
      let delta = 0;
      for (let c = 0; c < d; c++) delta += (g.data[row * d + c] as number) * (y.data[row * d + c] as number);
      p.forEach((pj, j) => {
        const ds = pj * ((dp[j] as number) - delta) * attrs.scale;
        for (let c = 0; c < d; c++) {
          const key = (head * keys + j) * d + c;
          add(dq, row * d + c, ds * (k.data[key] as number));
          add(dk, key, ds * (q.data[row * d + c] as number));
          add(dv, key, pj * (g.data[row * d + c] as number));
        }
      });
    }
  },
  cases: [
    {
      inputs: {
        q: [1, 2, 4, 5],
        k: [1, 2, 6, 5],
        v: [1, 2, 6, 5],
        y: [1, 2, 4, 5],
        keyMask: { shape: [1, 6], values: [1, 1, 0, 1, 1, 0] },
        lse: { shape: [1, 2, 4], draw: 'positive' },
        g: [1, 2, 4, 5],
      },
      attrs: { causal: true, scale: 0.4 },
    },
    {
      name: 'several blocks of queries',
      inputs: {
        q: [1, 3, 77, 20],
        k: [1, 3, 93, 20],
        v: [1, 3, 93, 20],
        y: [1, 3, 77, 20],
        lse: { shape: [1, 3, 77], values: [5] },
        g: [1, 3, 77, 20],
      },
      attrs: { causal: false, scale: 0.22 },
    },
    {
      name: 'heads of 16, all seen',
      inputs: {
        q: [2, 3, 9, 16],
        k: [2, 3, 21, 16],
        v: [2, 3, 21, 16],
        y: [2, 3, 9, 16],
        lse: { shape: [2, 3, 9], values: [5, 4.5] },
        g: [2, 3, 9, 16],
      },
      attrs: { causal: false, scale: 0.25 },
    },
    {
      name: 'heads of 72',
      inputs: {
        q: [1, 2, 70, 72],
        k: [1, 2, 99, 72],
        v: [1, 2, 99, 72],
        y: [1, 2, 70, 72],
        keyMask: { shape: [1, 99], values: [1, 1, 0, 1, 1, 1, 0] },
        lse: { shape: [1, 2, 70], values: [5] },
        g: [1, 2, 70, 72],
      },
      attrs: { causal: true, scale: 0.12 },
    },
    {
      name: 'heads of 200',
      inputs: {
        q: [1, 1, 35, 200],
        k: [1, 1, 67, 200],
        v: [1, 1, 67, 200],
        y: [1, 1, 35, 200],
        lse: { shape: [1, 1, 35], values: [5, 4] },
        g: [1, 1, 35, 200],
      },
      attrs: { causal: true, scale: 0.07 },
    },
    {
      name: 'bench',
      inputs: {
        q: [8, 12, 128, 64],
        k: [8, 12, 128, 64],
        v: [8, 12, 128, 64],
        y: [8, 12, 128, 64],
        lse: { shape: [8, 12, 128], values: [5] },
        g: [8, 12, 128, 64],
      },
      attrs: { causal: false, scale: 0.125 },
      bench: true,
    },
  ],
  tolerance: { f32: 2e-5, bf16: 1e-2, why: 'three products and an exponential, one after the other' },
  cost: ({ q, k }) => ({ flops: 10 * sizeOf(q) * (k[2] as number) }),
});

/**
 * Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762): `y = softmax(scale q k^T) v`, over the keys that
 * a query may see. The scores are not kept: a block of queries at a time, and again in the backward pass from the
 * logarithm of each query's sum (the method of Dao et al. 2022, arXiv:2205.14135).
 *
 * `q` is `[batch, heads, queries, D]`, `k` and `v` are `[batch, heads, keys, D]`, f32 or bf16, `y` is like `q`. With
 * `causal` query i sees the keys j <= i; `keyMask` (u8 `[batch, keys]`) hides keys from every query. A query that may see
 * no key gives zeros. What stands at a hidden key must be finite: it is multiplied by 0. A gradient for `q`, `k`, `v`.
 *
 * @throws ERR_SHAPE_MISMATCH when these shapes do not fit, ERR_ARGUMENT for a scale that is not finite.
 */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  checkOptions(name, options, ['causal', 'keyMask', 'scale']);
  const d = q.shape[3] ?? 1;
  return run(
    scaledDotProductAttentionOp,
    { q, k, v, keyMask: options.keyMask },
    { causal: options.causal ?? false, scale: options.scale ?? 1 / Math.sqrt(Math.max(d, 1)) },
  ).y;
}
