import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export interface LayerNormOptions {
  /** Added to the variance under the root (default 1e-5). */
  eps?: number;
}

const features = (x: Shape): number => x[x.length - 1] as number;

function rowsOf(op: string, x: Shape): Shape {
  if (x.length === 0) throw shapeError(op, 'a scalar', 'at least one axis to normalise');
  return x.slice(0, -1);
}

export const layerNormOp = defineOp({
  name: 'layerNorm',
  inputs: { x: 'diff', weight: 'diff?', bias: 'diff?' },
  outputs: { y: 'diff', mean: 'saved', rstd: 'saved' },
  attrs: { eps: 'float' },
  inputTypes: { weight: 'f32', bias: 'f32' },
  outputTypes: { mean: 'f32', rstd: 'f32' },
  saves: ['x', 'weight', 'mean', 'rstd'],
  shapes({ x, weight, bias }, { eps }) {
    const rows = rowsOf('layerNorm', x);
    needShape('layerNorm', 'weight', weight, [features(x)]);
    needShape('layerNorm', 'bias', bias, [features(x)]);
    if (!(eps >= 0))
      throw new SecateurError('ERR_ARGUMENT', `layerNorm: eps is ${eps}; needs a number, 0 or more.`, { eps });
    return { y: x, mean: rows, rstd: rows };
  },
  backward({ saved: { x, weight, mean, rstd }, grads: { y: g } }) {
    // One kernel gives all three; whichever thunk comes first runs it.
    let made: { dx: Tensor; dweight: Tensor; dbias: Tensor } | undefined;
    const grads = () => (made ??= run(layerNormGradOp, { x, weight, mean, rstd, g }, {}));
    return { x: () => grads().dx, weight: () => grads().dweight, bias: () => grads().dbias };
  },
  reference({ x, weight, bias }, { y, mean, rstd }, { eps }) {
    const n = features(x.shape);
    for (let r = 0; r < mean.data.length; r++) {
      const row = x.data.subarray(r * n, (r + 1) * n);
      const mu = row.reduce((a, b) => a + b, 0) / n;
      const variance = row.reduce((a, b) => a + (b - mu) ** 2, 0) / n;
      const scale = 1 / Math.sqrt(variance + eps);
      mean.data[r] = mu;
      rstd.data[r] = scale;
      for (let i = 0; i < n; i++)
        y.data[r * n + i] = ((row[i] as number) - mu) * scale * (weight?.data[i] ?? 1) + (bias?.data[i] ?? 0);
    }
  },
  cases: [
    { inputs: { x: [5, 7], weight: [7], bias: [7] }, attrs: { eps: 1e-5 } },
    { inputs: { x: [2, 3, 33], weight: [33], bias: [33] }, attrs: { eps: 1e-3 } },
    { inputs: { x: [3, 16], weight: [16] }, attrs: { eps: 1e-5 } },
    { inputs: { x: [3, 16] }, attrs: { eps: 1e-5 } },
    { inputs: { x: [9], weight: [9], bias: [9] }, attrs: { eps: 1e-5 } },
    { inputs: { x: [0, 4], weight: [4], bias: [4] }, attrs: { eps: 1e-5 } },
    { inputs: { x: [700, 130], weight: [130], bias: [130] }, attrs: { eps: 1e-5 }, grad: false },
    { name: 'many rows', inputs: { x: [1030, 304], weight: [304] }, attrs: { eps: 1e-5 }, grad: false },
    {
      name: 'long rows',
      inputs: { x: [2, 24003], weight: [24003], bias: [24003] },
      attrs: { eps: 1e-5 },
      grad: false,
    },
    {
      name: 'constant rows',
      inputs: { x: { shape: [2, 4], values: [3, 3, 3, 3, 0, 0, 0, 0] }, weight: [4], bias: [4] },
      attrs: { eps: 1e-5 },
    },
    {
      name: 'special values',
      inputs: { x: { shape: [3, 3], values: [1, NaN, 2, 1, Infinity, 2, 1, 2, 4] }, weight: [3], bias: [3] },
      attrs: { eps: 1e-5 },
      grad: false,
    },
    {
      name: 'weight of another length',
      inputs: { x: [2, 4], weight: [3], bias: [4] },
      attrs: { eps: 1e-5 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'weight of shape [3]' },
    },
    {
      name: 'negative eps',
      inputs: { x: [2, 4] },
      attrs: { eps: -1 },
      refuses: { code: 'ERR_ARGUMENT', says: 'eps is -1' },
    },
    { name: 'bench', inputs: { x: [4096, 768], weight: [768], bias: [768] }, attrs: { eps: 1e-5 }, bench: true },
  ],
  cost: ({ x }) => ({ flops: 8 * sizeOf(x) }),
});

export const layerNormGradOp = defineOp({
  name: 'layerNormGrad',
  inputs: { x: 'const', weight: 'const?', mean: 'const', rstd: 'const', g: 'const' },
  outputs: { dx: 'const', dweight: 'const', dbias: 'const' },
  inputTypes: { weight: 'f32', mean: 'f32', rstd: 'f32' },
  outputTypes: { dweight: 'f32', dbias: 'f32' },
  shapes({ x, weight, mean, rstd, g }) {
    const rows = rowsOf('layerNormGrad', x);
    const perFeature = [features(x)];
    needShape('layerNormGrad', 'weight', weight, perFeature);
    needShape('layerNormGrad', 'mean', mean, rows);
    needShape('layerNormGrad', 'rstd', rstd, rows);
    needShape('layerNormGrad', 'g', g, x);
    return { dx: x, dweight: perFeature, dbias: perFeature };
  },
  reference({ x, weight, mean, rstd, g }, { dx, dweight, dbias }) {
    const n = features(x.shape);
    for (let r = 0; r < mean.data.length; r++) {
      const scale = rstd.data[r] as number;
      const hat = (i: number): number => ((x.data[r * n + i] as number) - (mean.data[r] as number)) * scale;
      const up = (i: number): number => (g.data[r * n + i] as number) * (weight?.data[i] ?? 1);
      let sum = 0;
      let dot = 0;
      for (let i = 0; i < n; i++) {
        sum += up(i);
        dot += up(i) * hat(i);
        dweight.data[i] = (dweight.data[i] as number) + (g.data[r * n + i] as number) * hat(i);
        dbias.data[i] = (dbias.data[i] as number) + (g.data[r * n + i] as number);
      }
      for (let i = 0; i < n; i++) dx.data[r * n + i] = scale * (up(i) - sum / n - (hat(i) * dot) / n);
    }
  },
  cases: [
    {
      inputs: { x: [5, 7], weight: [7], mean: [5], rstd: { shape: [5], draw: 'positive' }, g: [5, 7] },
    },
    { inputs: { x: [3, 16], mean: [3], rstd: { shape: [3], draw: 'positive' }, g: [3, 16] } },
    { inputs: { x: [0, 3], mean: [0], rstd: [0], g: [0, 3] } },
    {
      name: 'rows in several chunks',
      inputs: { x: [700, 130], weight: [130], mean: [700], rstd: { shape: [700], draw: 'positive' }, g: [700, 130] },
    },
    {
      name: 'many rows',
      inputs: {
        x: [1030, 304],
        weight: [304],
        mean: [1030],
        rstd: { shape: [1030], draw: 'positive' },
        g: [1030, 304],
      },
    },
    {
      name: 'long rows',
      inputs: { x: [19, 6007], weight: [6007], mean: [19], rstd: { shape: [19], draw: 'positive' }, g: [19, 6007] },
    },
    {
      name: 'bench',
      inputs: { x: [4096, 768], weight: [768], mean: [4096], rstd: [4096], g: [4096, 768] },
      bench: true,
    },
  ],
  cost: ({ x }) => ({ flops: 13 * sizeOf(x) }),
});

/**
 * Layer normalisation over the last axis (Ba et al. 2016, arXiv:1607.06450): `y = (x - mean) / sqrt(var + eps) *
 * weight + bias`, with each row's own mean and biased variance.
 *
 * `x` is `[..., n]`, f32 or bf16; `weight` and `bias` are `[n]` and f32 whatever the dtype of `x` (absent: 1 and 0);
 * statistics are in f32. A gradient for all three.
 *
 * @throws ERR_SHAPE_MISMATCH when `weight` or `bias` is not `[n]`, ERR_ARGUMENT for a negative `eps`.
 */
export function layerNorm(x: Tensor, weight?: Tensor, bias?: Tensor, options: LayerNormOptions = {}): Tensor {
  checkOptions('layerNorm', options, ['eps']);
  return run(layerNormOp, { x, weight, bias }, { eps: options.eps ?? 1e-5 }).y;
}
