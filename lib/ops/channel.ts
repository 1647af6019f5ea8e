import { checkOptions } from '../core/errors.js';
import { defineOp, type CaseInput } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { mul } from './binary.js';
import { reshape } from './reshape.js';
import { boundary, checkTau, softMaskAt } from './softMask.js';
import { checkRow, type ThresholdRow } from './threshold.js';

function channelsOf(op: string, w: Shape): Shape {
  if (w.length === 0) throw shapeError(op, 'a scalar', 'a weight with output channels on its first axis');
  return w.slice(0, 1);
}

export const channelNormOp = defineOp({
  name: 'channelNorm',
  inputs: { w: 'diff' },
  outputs: { norm: 'diff' },
  types: ['f32'],
  saves: ['w', 'norm'],
  shapes: ({ w }) => ({ norm: channelsOf('channelNorm', w) }),
  backward: ({ saved: { w, norm }, grads: { norm: g } }) => ({
    w: (to) => run(channelNormGradOp, { w, norm, g }, {}, to).dw,
  }),
  reference({ w }, { norm }) {
    const row = w.data.length / norm.data.length;
    for (let c = 0; c < norm.data.length; c++) {
      let sum = 0;
      for (let i = 0; i < row; i++) sum += (w.data[c * row + i] as number) ** 2;
      norm.data[c] = Math.sqrt(sum);
    }
  },
  cases: [
    { inputs: { w: [5, 3, 3, 7] } },
    { inputs: { w: [3] } },
    { inputs: { w: [0, 4] } },
    { inputs: { w: [4, 0] }, grad: false },
    { inputs: { w: [3, 40_001] } },
    {
      name: 'special values',
      inputs: { w: { shape: [4, 2], values: [NaN, 1, Infinity, 2, 0, -0, 3e30, 4e30] } },
      grad: false,
    },
    { inputs: { w: [] }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'first axis' } },
    { name: 'bench', inputs: { w: [512, 3, 3, 512] }, bench: true, grad: false },
  ],
  cost: ({ w }) => ({ flops: 2 * sizeOf(w), bytes: 4 * sizeOf(w) }),
});

export const channelNormGradOp = defineOp({
  name: 'channelNormGrad',
  inputs: { w: 'const', norm: 'const', g: 'const' },
  outputs: { dw: 'const' },
  types: ['f32'],
  shapes({ w, norm, g }) {
    needShape('channelNormGrad', 'norm', norm, channelsOf('channelNormGrad', w));
    needShape('channelNormGrad', 'g', g, norm);
    return { dw: w };
  },
  reference({ w, norm, g }, { dw }) {
    const row = w.data.length / norm.data.length;
    for (let c = 0; c < norm.data.length; c++) {
      // The norm has no derivative at 0; 0 is the subgradient of least norm.
      const factor = norm.data[c] === 0 ? 0 : (g.data[c] as number) / (norm.data[c] as number);
      for (let i = 0; i < row; i++) dw.data[c * row + i] = factor * (w.data[c * row + i] as number);
    }
  },
  cases: [
    { inputs: { w: [5, 3, 3, 7], norm: { shape: [5], values: [1, 2, 0, 3, 0.5] }, g: [5] } },
    { inputs: { w: [0, 4], norm: [0], g: [0] } },
  ],
  cost: ({ w }) => ({ flops: sizeOf(w), bytes: 8 * sizeOf(w) }),
});

const levels: CaseInput = { shape: [2, 3], values: [NaN, NaN, NaN, 0.75, 1.25, 1] };
const counts: CaseInput = { shape: [2, 2], values: [0, 0, 2, 1] };

export const channelMaskOp = defineOp({
  name: 'channelMask',
  inputs: { norm: 'diff', levels: 'const', counts: 'const' },
  outputs: { mask: 'diff' },
  scalars: { layer: 'int', tau: 'float' },
  types: ['f32'],
  inputTypes: { counts: 'i32' },
  saves: ['norm', 'levels', 'counts'],
  shapes({ norm, levels, counts }, _, { layer }) {
    checkRow('channelMask', levels, counts, layer);
    return { mask: norm };
  },
  backward: ({ saved: { norm, levels, counts }, grads: { mask: g }, scalars }) => ({
    norm: (to) => run(channelMaskGradOp, { norm, g, levels, counts }, {}, { scalars, ...to }).dnorm,
  }),
  reference({ norm, levels, counts }, { mask }, _, { layer, tau }) {
    const t = levels.data[3 * layer + 2] as number;
    const dense = counts.data[2 * layer] === 0;
    for (let c = 0; c < norm.data.length; c++) mask.data[c] = dense ? 1 : softMaskAt(norm.data[c] as number, t, tau);
  },
  cases: [
    { inputs: { norm: { shape: [37], draw: 'positive' }, levels, counts }, scalars: { layer: 1, tau: 0.3 } },
    {
      name: 'nothing pruned',
      inputs: { norm: { shape: [5], draw: 'positive' }, levels, counts },
      scalars: { layer: 0, tau: 0.3 },
    },
    {
      name: 'special values',
      inputs: { norm: { shape: [4], values: [NaN, Infinity, 0, 1e30] }, levels, counts },
      scalars: { layer: 1, tau: 1e-4 },
      grad: false,
    },
    {
      inputs: { norm: [3], levels, counts },
      scalars: { layer: -1, tau: 1 },
      refuses: { code: 'ERR_ARGUMENT', says: 'layer -1' },
    },
  ],
});

export const channelMaskGradOp = defineOp({
  name: 'channelMaskGrad',
  inputs: { norm: 'const', g: 'const', levels: 'const', counts: 'const' },
  outputs: { dnorm: 'const' },
  scalars: { layer: 'int', tau: 'float' },
  types: ['f32'],
  inputTypes: { counts: 'i32' },
  shapes({ norm, g, levels, counts }, _, { layer }) {
    checkRow('channelMaskGrad', levels, counts, layer);
    needShape('channelMaskGrad', 'g', g, norm);
    return { dnorm: norm };
  },
  reference({ norm, g, levels, counts }, { dnorm }, _, { layer, tau }) {
    const t = levels.data[3 * layer + 2] as number;
    if (counts.data[2 * layer] === 0) return;
    for (let c = 0; c < norm.data.length; c++) {
      const x = norm.data[c] as number;
      dnorm.data[c] = (g.data[c] as number) * boundary(softMaskAt(x, t, tau), (2 * x) / tau);
    }
  },
  cases: [
    { inputs: { norm: { shape: [37], draw: 'positive' }, g: [37], levels, counts }, scalars: { layer: 1, tau: 0.3 } },
    { inputs: { norm: [5], g: [5], levels, counts }, scalars: { layer: 0, tau: 0.3 } },
    {
      name: 'special values',
      inputs: { norm: { shape: [3], values: [Infinity, 0, 1e30] }, g: [3], levels, counts },
      scalars: { layer: 1, tau: 1e-4 },
    },
  ],
});

/**
 * The L2 norm of each output channel, `norm[c] = sqrt(sum of w[c, ...]^2)`: `[O, ...]` to `[O]`, f32. Gradient
 * `dw[c] = g[c] w[c] / norm[c]`, 0 where the norm is 0.
 *
 * @throws ERR_SHAPE_MISMATCH on a scalar
 */
export function channelNorm(w: Tensor): Tensor {
  return run(channelNormOp, { w }, {}).norm;
}

/**
 * The soft mask over channels, `m = sigmoid((norm^2 - t^2) / tau)`, from their norms and the thresholds of those
 * (`threshold([norm], [k])`). All ones when nothing is pruned. Gradient to `norm`, t as a constant.
 *
 * @throws ERR_ARGUMENT when tau is not above 0 or the row does not exist
 */
export function channelMask(norm: Tensor, row: ThresholdRow, options: { readonly tau: number }): Tensor {
  checkOptions('channelMask', options, ['tau']);
  checkTau('channelMask', options.tau);
  const { levels, counts, layer } = row;
  return run(channelMaskOp, { norm, levels, counts }, {}, { scalars: { layer, tau: options.tau } }).mask;
}

/**
 * Every output channel times its mask, `y[c, ...] = mask[c] w[c, ...]`. Gradient to both. With
 * `channelMask(channelNorm(w), ...)` this is PDP for channels:
 * `dw[c] = m G[c] + (2 / tau) m (1 - m) <G[c], w[c]> w[c]`.
 *
 * @throws ERR_SHAPE_MISMATCH when the mask does not have one entry a channel
 */
export function channelWeight(w: Tensor, mask: Tensor): Tensor {
  if (w.rank === 0 || mask.rank !== 1 || mask.shape[0] !== w.shape[0]) {
    throw shapeError(
      'channelWeight',
      `a mask of shape ${showShape(mask.shape)} for a weight of shape ${showShape(w.shape)}`,
      'one entry for each output channel (the first axis)',
    );
  }
  return mul(w, reshape(mask, [mask.size, ...w.shape.slice(1).map(() => 1)]));
}
