import { SecateurError, checkOptions } from '../core/errors.js';
import { type AttrValues, type OpCase, type RefArray, type Thunk, defineOp } from '../core/op.js';
import { precision } from '../core/precision.js';
import { run } from '../core/run.js';
import { type Shape, needShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sumToOp } from './broadcast.js';
import { type Geometry, convolvedShape, correlate, geometryAttrs as attrs, visitProducts } from './convolution.js';
import { reluGradOp } from './relu.js';
import { type Pair, pairOf } from './window.js';

export interface Conv2dOptions {
  /** Step of the kernel (default 1). */
  stride?: Pair;
  /** Zeros on each side of the image (default 0). */
  padding?: Pair;
  /** Distance between the kernel's entries (default 1: neighbours). */
  dilation?: Pair;
  /** Into how many independent groups the channels are split (default 1); as many as input channels: depthwise. */
  groups?: number;
}

const settings = (
  stride: Shape,
  padding: Shape,
  dilation: Shape = [1, 1],
  groups = 1,
  exact: 'high' | 'highest' = 'high',
): Record<string, unknown> => ({ stride, padding, dilation, groups, precision: exact });

const same = settings([1, 1], [1, 1]);

const refused: readonly OpCase[] = [
  {
    inputs: { x: [1, 4, 4, 6], weight: [6, 3, 3, 6] },
    attrs: settings([1, 1], [1, 1], [1, 1], 4),
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'groups that divide' },
  },
  {
    inputs: { x: [1, 4, 4, 6], weight: [4, 3, 3, 5] },
    attrs: same,
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: '6 input channels' },
  },
  {
    inputs: { x: [1, 3, 4, 2], weight: [4, 5, 3, 2] },
    attrs: settings([1, 1], [0, 0]),
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: "kernel's reach, 5" },
  },
  {
    inputs: { x: [1, 4, 4, 2], weight: [4, 2, 2, 2] },
    attrs: settings([1, 1], [0, 0], [4, 1]),
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: "kernel's reach, 5" },
  },
  {
    inputs: { x: [4, 4, 2], weight: [4, 2, 2, 2] },
    attrs: same,
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'four axes' },
  },
  {
    inputs: { x: [1, 4, 4, 2], weight: [4, 2, 2] },
    attrs: same,
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'kernel height' },
  },
  {
    inputs: { x: [1, 4, 4, 2], weight: [4, 2, 2, 2], bias: [3] },
    attrs: same,
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'bias' },
  },
];

const tolerance = {
  f32: 2e-5,
  bf16: 2e-2,
  why: "sums of up to 1024 products, by Winograd's transforms where they apply (rms 2e-6); bf16 has 8 bits",
};

/** With the bias. */
function convolve(
  { x, weight, bias }: { x: RefArray; weight: RefArray; bias: RefArray | undefined },
  { y }: { y: RefArray },
  geometry: Geometry,
): void {
  if (bias !== undefined) for (let i = 0; i < y.data.length; i++) y.data[i] = bias.data[i % bias.data.length] as number;
  correlate(x, weight, y, geometry);
}

export const conv2dOp = defineOp({
  name: 'conv2d',
  inputs: { x: 'diff', weight: 'diff', bias: 'diff?' },
  outputs: { y: 'diff' },
  attrs,
  saves: ['x', 'weight'],
  layouts: 'weight',
  cast: 'low',
  shapes: ({ x, weight, bias }, geometry) => ({ y: convolvedShape('conv2d', x, weight, bias, geometry) }),
  backward: ({ saved: { x, weight }, attrs: geometry, grads: { y: g } }) => conv2dThunk(x, weight, geometry, g),
  reference: convolve,
  cases: [
    { inputs: { x: [2, 5, 7, 3], weight: [4, 3, 3, 3], bias: [4] }, attrs: same },
    { inputs: { x: [1, 9, 6, 17], weight: [19, 3, 3, 17] }, attrs: same },
    { inputs: { x: [2, 9, 10, 16], weight: [32, 3, 3, 16], bias: [32] }, attrs: same },
    { inputs: { x: [2, 9, 10, 16], weight: [32, 3, 3, 16] }, attrs: settings([1, 1], [1, 1], [1, 1], 1, 'highest') },
    { inputs: { x: [3, 8, 8, 64], weight: [64, 3, 3, 64] }, attrs: same, grad: false },
    { name: 'many channels', inputs: { x: [1, 16, 16, 16], weight: [136, 3, 3, 16] }, attrs: same, grad: false },
    { name: 'narrow images', inputs: { x: [9, 5, 4, 32], weight: [48, 3, 3, 32] }, attrs: same, grad: false },
    { name: '7x7 stem', inputs: { x: [2, 15, 17, 3], weight: [8, 7, 7, 3] }, attrs: settings([2, 2], [3, 3]) },
    { inputs: { x: [2, 7, 8, 16], weight: [24, 3, 3, 16], bias: [24] }, attrs: settings([2, 2], [1, 1]) },
    { inputs: { x: [2, 5, 6, 16], weight: [16, 1, 1, 16] }, attrs: settings([2, 2], [0, 0]) },
    { inputs: { x: [3, 7, 8, 16], weight: [48, 3, 3, 16], bias: [48] }, attrs: settings([2, 2], [1, 1]) },
    { inputs: { x: [2, 6, 9, 48], weight: [32, 2, 3, 48] }, attrs: settings([1, 3], [2, 1], [3, 1]), grad: false },
    { name: '1x1', inputs: { x: [2, 5, 5, 16], weight: [32, 1, 1, 16] }, attrs: settings([1, 1], [0, 0]) },
    { inputs: { x: [2, 5, 6, 16], weight: [8, 1, 1, 16] }, attrs: settings([2, 2], [0, 0]) },
    { inputs: { x: [1, 6, 7, 4], weight: [5, 2, 3, 4], bias: [5] }, attrs: settings([2, 1], [0, 1], [1, 2]) },
    { name: 'dilation', inputs: { x: [1, 9, 9, 8], weight: [8, 3, 3, 8] }, attrs: settings([1, 1], [2, 2], [2, 2]) },
    {
      name: 'depthwise',
      inputs: { x: [2, 7, 6, 16], weight: [16, 3, 3, 1], bias: [16] },
      attrs: settings([1, 1], [1, 1], [1, 1], 16),
    },
    { inputs: { x: [1, 7, 7, 5], weight: [10, 3, 3, 1] }, attrs: settings([2, 2], [1, 1], [1, 1], 5) },
    {
      name: 'groups',
      inputs: { x: [2, 6, 5, 6], weight: [9, 3, 3, 2], bias: [9] },
      attrs: settings([1, 1], [1, 1], [1, 1], 3),
    },
    { inputs: { x: [1, 6, 6, 32], weight: [32, 3, 3, 16] }, attrs: settings([2, 2], [1, 1], [1, 1], 2) },
    { inputs: { x: [1, 3, 3, 1], weight: [1, 3, 3, 1] }, attrs: settings([1, 1], [0, 0]) },
    { name: 'no images', inputs: { x: [0, 5, 5, 3], weight: [4, 3, 3, 3], bias: [4] }, attrs: same },
    {
      name: 'special values',
      inputs: {
        x: { shape: [2, 4, 4, 2], values: [NaN, 1, 2, Infinity, 3, 4, 5, 6, 7, 8, 9] },
        weight: { shape: [3, 1, 1, 2], values: [1, 2, 0.5] },
      },
      attrs: settings([1, 1], [0, 0]),
      grad: false,
    },
    ...refused,
    { name: 'bench', inputs: { x: [32, 56, 56, 64], weight: [64, 3, 3, 64] }, attrs: same, bench: true, grad: false },
  ],
  tolerance,
  cost: ({ weight }, { y }) => ({ flops: 2 * sizeOf(y) * sizeOf(weight.slice(1)) }),
});

export const conv2dReluOp = defineOp({
  name: 'conv2dRelu',
  inputs: { x: 'diff', weight: 'diff', bias: 'diff?' },
  outputs: { y: 'diff' },
  attrs,
  saves: ['x', 'weight', 'y'],
  layouts: 'weight',
  cast: 'low',
  shapes: ({ x, weight, bias }, geometry) => ({ y: convolvedShape('conv2dRelu', x, weight, bias, geometry) }),
  backward: ({ saved: { x, weight, y }, attrs: geometry, grads: { y: g } }) =>
    conv2dThunk(x, weight, geometry, run(reluGradOp, { y, g }, {}).dx),
  reference(operands, { y }, geometry) {
    convolve(operands, { y }, geometry);
    // NaN passes, -0 becomes 0.
    for (let i = 0; i < y.data.length; i++) if ((y.data[i] as number) <= 0) y.data[i] = 0;
  },
  cases: [
    { inputs: { x: [2, 5, 7, 3], weight: [4, 3, 3, 3], bias: [4] }, attrs: same },
    { inputs: { x: [2, 9, 10, 16], weight: [32, 3, 3, 16] }, attrs: same },
    { inputs: { x: [2, 7, 8, 16], weight: [24, 3, 3, 16], bias: [24] }, attrs: settings([2, 2], [1, 1]) },
    { name: '1x1', inputs: { x: [2, 5, 5, 16], weight: [32, 1, 1, 16] }, attrs: settings([1, 1], [0, 0]) },
    { name: 'many channels', inputs: { x: [1, 16, 16, 16], weight: [136, 3, 3, 16] }, attrs: same, grad: false },
    { name: 'long sums', inputs: { x: [1, 4, 4, 64], weight: [8, 3, 3, 64], bias: [8] }, attrs: same, grad: false },
    { name: "Winograd's", inputs: { x: [3, 8, 8, 64], weight: [64, 3, 3, 64], bias: [64] }, attrs: same, grad: false },
    {
      name: 'depthwise',
      inputs: { x: [2, 7, 6, 16], weight: [16, 3, 3, 1], bias: [16] },
      attrs: settings([1, 1], [1, 1], [1, 1], 16),
    },
    {
      name: 'groups',
      inputs: { x: [2, 6, 5, 6], weight: [9, 3, 3, 2], bias: [9] },
      attrs: settings([1, 1], [1, 1], [1, 1], 3),
    },
    { name: 'no images', inputs: { x: [0, 5, 5, 3], weight: [4, 3, 3, 3], bias: [4] }, attrs: same },
    {
      name: 'special values',
      inputs: {
        x: { shape: [2, 4, 4, 2], values: [NaN, 1, 2, Infinity, 3, -4, 5, -6, 7, 8, 9] },
        weight: { shape: [3, 1, 1, 2], values: [1, 2, 0.5] },
      },
      attrs: settings([1, 1], [0, 0]),
      grad: false,
    },
    {
      inputs: { x: [1, 4, 4, 2], weight: [4, 2, 2, 2], bias: [3] },
      attrs: same,
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'bias' },
    },
    {
      name: 'bench',
      inputs: { x: [32, 56, 56, 64], weight: [64, 3, 3, 64], bias: [64] },
      attrs: same,
      bench: true,
      grad: false,
    },
  ],
  tolerance,
  cost: ({ weight }, { y }) => ({ flops: 2 * sizeOf(y) * sizeOf(weight.slice(1)) }),
});

export const conv2dGradInputOp = defineOp({
  name: 'conv2dGradInput',
  inputs: { g: 'const', weight: 'const' },
  layouts: 'weight',
  outputs: { dx: 'const' },
  attrs: { ...attrs, shape: 'ints' },
  shapes({ g, weight }, { shape, ...geometry }) {
    needShape('conv2dGradInput', 'g', g, convolvedShape('conv2dGradInput', shape, weight, undefined, geometry));
    return { dx: shape };
  },
  reference({ g, weight }, { dx }, geometry) {
    visitProducts(dx.shape, weight.shape, g.shape, geometry, (at, from, filter, depth) => {
      const scale = g.data[at] as number;
      for (let c = 0; c < depth; c++)
        dx.data[from + c] = (dx.data[from + c] as number) + scale * (weight.data[filter + c] as number);
    });
  },
  cases: [
    {
      inputs: { g: [2, 7, 9, 32], weight: [32, 3, 3, 16] },
      attrs: { ...same, shape: [2, 7, 9, 16] },
    },
    {
      name: 'many channels',
      inputs: { g: [1, 16, 16, 16], weight: [16, 3, 3, 136] },
      attrs: { ...same, shape: [1, 16, 16, 136] },
    },
    {
      name: 'narrow images',
      inputs: { g: [9, 5, 4, 48], weight: [48, 3, 3, 32] },
      attrs: { ...same, shape: [9, 5, 4, 32] },
    },
    {
      inputs: { g: [0, 5, 5, 4], weight: [4, 3, 3, 3] },
      attrs: { ...same, shape: [0, 5, 5, 3] },
    },
    {
      name: 'bench',
      inputs: { g: [32, 56, 56, 64], weight: [64, 3, 3, 64] },
      attrs: { ...same, shape: [32, 56, 56, 64] },
      bench: true,
    },
  ],
  tolerance,
  cost: ({ g, weight }) => ({ flops: 2 * sizeOf(g) * sizeOf(weight.slice(1)) }),
});

export const conv2dGradWeightOp = defineOp({
  name: 'conv2dGradWeight',
  inputs: { x: 'const', g: 'const' },
  outputs: { dw: 'const' },
  attrs: { ...attrs, shape: 'ints' },
  shapes({ x, g }, { shape, ...geometry }) {
    needShape('conv2dGradWeight', 'g', g, convolvedShape('conv2dGradWeight', x, shape, undefined, geometry));
    return { dw: shape };
  },
  reference({ x, g }, { dw }, geometry) {
    visitProducts(x.shape, dw.shape, g.shape, geometry, (at, from, filter, depth) => {
      const scale = g.data[at] as number;
      for (let c = 0; c < depth; c++)
        dw.data[filter + c] = (dw.data[filter + c] as number) + scale * (x.data[from + c] as number);
    });
  },
  cases: [
    {
      inputs: { x: [2, 7, 9, 16], g: [2, 7, 9, 32] },
      attrs: { ...same, shape: [32, 3, 3, 16] },
    },
    {
      name: 'many channels',
      inputs: { x: [1, 10, 10, 16], g: [1, 10, 10, 136] },
      attrs: { ...same, shape: [136, 3, 3, 16] },
    },
    {
      name: 'narrow images',
      inputs: { x: [9, 5, 4, 32], g: [9, 5, 4, 48] },
      attrs: { ...same, shape: [48, 3, 3, 32] },
    },
    {
      name: 'many pixels',
      inputs: { x: [4, 16, 16, 8], g: [4, 16, 16, 8] },
      attrs: { ...same, shape: [8, 3, 3, 8] },
    },
    {
      name: 'no images: zeros',
      inputs: { x: [0, 5, 5, 3], g: [0, 5, 5, 4] },
      attrs: { ...same, shape: [4, 3, 3, 3] },
    },
    {
      name: 'bench',
      inputs: { x: [32, 56, 56, 64], g: [32, 56, 56, 64] },
      attrs: { ...same, shape: [64, 3, 3, 64] },
      bench: true,
    },
  ],
  tolerance,
  cost: ({ g }, { dw }) => ({ flops: 2 * sizeOf(g) * sizeOf(dw.slice(1)) }),
});

/** The gradients of a convolution's operands and bias, from that of its result. */
export function conv2dThunk(
  x: Tensor,
  weight: Tensor,
  geometry: AttrValues<typeof attrs>,
  g: Tensor,
): { x: Thunk; weight: Thunk; bias: Thunk } {
  return {
    x: (to) => run(conv2dGradInputOp, { g, weight }, { ...geometry, shape: x.shape }, to).dx,
    weight: (to) => run(conv2dGradWeightOp, { x, g }, { ...geometry, shape: weight.shape }, to).dw,
    bias: (to) => run(sumToOp, { x: g }, { shape: [weight.shape[0] as number] }, to).y,
  };
}

/**
 * Two-dimensional convolution (cross-correlation, as everywhere in deep learning):
 * `y[n, i, j, o] = bias[o] + sum_{p, q, c} x[n, i stride - padding + p dilation, j stride - padding + q dilation, c] weight[o, p, q, c]`
 * with zeros outside the image; with `groups`, `c` runs over the input channels of `o`'s group.
 *
 * `x [N, H, W, C]`, `weight [O, kh, kw, C / groups]`, `bias [O]`, `y [N, H', W', O]` with
 * `H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1`. A gradient for `x`, `weight` and `bias`. Sums are
 * in f32. In f32, 3x3 kernels with stride 1 and padding 1 may go through Winograd's algorithm: see `setPrecision`.
 * PyTorch's `conv2d`, with the channels last.
 *
 * @throws ERR_SHAPE_MISMATCH when the channels do not fit the weight or the groups, or the image is smaller than the
 * kernel; ERR_ARGUMENT for a stride, dilation or number of groups below 1
 */
export function conv2d(x: Tensor, weight: Tensor, bias?: Tensor, options: Conv2dOptions = {}): Tensor {
  return run(conv2dOp, { x, weight, bias }, geometryOf('conv2d', options)).y;
}

/**
 * `y = max(convolution + bias, 0)` in one pass: arguments and gradients as those of `conv2d`; NaN stays NaN, and the
 * gradient at 0 is 0.
 *
 * @throws as `conv2d`
 */
export function conv2dRelu(x: Tensor, weight: Tensor, bias?: Tensor, options: Conv2dOptions = {}): Tensor {
  return run(conv2dReluOp, { x, weight, bias }, geometryOf('conv2dRelu', options)).y;
}

function geometryOf(op: string, options: Conv2dOptions): AttrValues<typeof attrs> {
  checkOptions(op, options, ['stride', 'padding', 'dilation', 'groups']);
  const groups = options.groups ?? 1;
  if (!Number.isSafeInteger(groups) || groups < 1)
    throw new SecateurError('ERR_ARGUMENT', `${op}: groups is ${groups}; give a whole number of at least 1.`, {
      groups,
    });
  return {
    stride: pairOf(op, 'stride', options.stride ?? 1, 1),
    padding: pairOf(op, 'padding', options.padding ?? 0, 0),
    dilation: pairOf(op, 'dilation', options.dilation ?? 1, 1),
    groups,
    precision: precision(),
  };
}
