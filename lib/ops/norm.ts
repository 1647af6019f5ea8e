import { SecateurError, checkOptions } from '../core/errors.js';
import { type OpCase, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import {
  type ReductionOptions,
  axesOf,
  axisAttrs,
  needReduced,
  outputIndex,
  reducedShape,
  reductionCases,
  withAttrs,
} from './reduction.js';

export interface NormOptions extends ReductionOptions {
  /** Which norm: 1 the sum of magnitudes, 2 (default) the Euclidean, Infinity the largest magnitude. */
  p?: number;
}

const kinds = ['one', 'two', 'max'] as const;

const special: OpCase = {
  name: 'special values',
  inputs: { x: { shape: [4, 3], values: [NaN, 1, 2, Infinity, 1, -1, 0, 0, -0, 1e30, 1e30, -1e30] } },
  attrs: { dim: [1], keepdim: false },
  grad: false,
};

export const normOp = defineOp({
  name: 'norm',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { ...axisAttrs, p: kinds },
  saves: ['x', 'y'],
  shapes: ({ x }, axes) => ({ y: reducedShape('norm', x, axes) }),
  backward: ({ saved: { x, y }, grads: { y: g }, attrs: { dim, p } }) => ({
    x: (to) => run(normGradOp, { x, y, g }, { dim, p }, to).dx,
  }),
  reference({ x }, { y }, { dim, p }) {
    const at = outputIndex('norm', x.shape, dim);
    for (let i = 0; i < x.data.length; i++) {
      const size = Math.abs(x.data[i] as number);
      const sum = y.data[at(i)] as number;
      y.data[at(i)] = p === 'one' ? sum + size : p === 'two' ? sum + size * size : Math.max(sum, size);
    }
    if (p === 'two') for (let i = 0; i < y.data.length; i++) y.data[i] = Math.sqrt(y.data[i] as number);
  },
  cases: [
    ...kinds.flatMap((p) => withAttrs([...reductionCases.slice(0, 6), special], { p })),
    ...withAttrs(reductionCases.slice(6), { p: 'two' }),
    ...kinds.flatMap((p) =>
      withAttrs([{ name: 'many rows', inputs: { x: [700, 3] }, attrs: { dim: [0], keepdim: false }, grad: false }], {
        p,
      }),
    ),
    { inputs: { x: [3, 0] }, attrs: { dim: [1], keepdim: false, p: 'max' }, grad: false },
    { name: 'bench', inputs: { x: [1 << 22] }, attrs: { dim: [], keepdim: false, p: 'two' }, bench: true, grad: false },
  ],
  tolerance: { f32: 1e-5, bf16: 2e-2, why: 'the gradient divides by a norm rounded to bf16' },
  cost: ({ x }) => ({ flops: 2 * sizeOf(x) }),
});

export const normGradOp = defineOp({
  name: 'normGrad',
  inputs: { x: 'const', y: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { dim: 'ints', p: kinds },
  shapes({ x, y, g }, { dim }) {
    needReduced('normGrad', 'y', y, x, dim);
    needReduced('normGrad', 'g', g, x, dim);
    return { dx: x };
  },
  reference({ x, y, g }, { dx }, { dim, p }) {
    const at = outputIndex('normGrad', x.shape, dim);
    const ties = new Float64Array(y.data.length);
    for (let i = 0; i < x.data.length; i++) {
      if (Math.abs(x.data[i] as number) === y.data[at(i)]) ties[at(i)] = (ties[at(i)] as number) + 1;
    }
    for (let i = 0; i < dx.data.length; i++) {
      const v = x.data[i] as number;
      const k = at(i);
      const norm = y.data[k] as number;
      const up = g.data[k] as number;
      if (p === 'one') dx.data[i] = up * Math.sign(v);
      else if (p === 'two') dx.data[i] = norm === 0 ? 0 : (up * v) / norm;
      else dx.data[i] = Math.abs(v) === norm ? (up * Math.sign(v)) / (ties[k] as number) : 0;
    }
  },
  cases: [
    ...kinds.map((p) => ({
      name: `ties and a zero norm, ${p}`,
      inputs: {
        x: { shape: [3, 3], values: [4, -4, 1, 0, 0, 0, -2, 1, 0] },
        y: { shape: [3], values: [4, 0, 2] },
        g: [3],
      },
      attrs: { dim: [1], p },
    })),
    {
      name: 'many share',
      inputs: { x: { shape: [700, 2], draw: 'index', below: 3 }, y: { shape: [2], values: [2, 2] }, g: [2] },
      attrs: { dim: [0], p: 'max' },
    },
  ],
});

/**
 * Norm over the axes `dim` (default all): `(sum_dim |x|^p)^(1/p)` for `p` 1 or 2 (default), the largest magnitude for
 * `p: Infinity`. A gradient for `x`: `g sign(x)`, `g x / norm` (0 where the norm is 0), or `g sign(x)` shared evenly
 * among the largest. Accumulates in double, so squares neither overflow nor underflow.
 *
 * @throws ERR_ARGUMENT for another `p`, or an axis that is not there or named twice
 */
export function norm(x: Tensor, options: NormOptions = {}): Tensor {
  checkOptions('norm', options, ['dim', 'keepdim', 'p']);
  const { p = 2 } = options;
  const kind = p === 1 ? 'one' : p === 2 ? 'two' : p === Infinity ? 'max' : undefined;
  if (kind === undefined) throw new SecateurError('ERR_ARGUMENT', `norm: p is ${p}; use 1, 2 or Infinity.`, { p });
  return run(normOp, { x }, { ...axesOf(options), p: kind }).y;
}
