import { SecateurError, checkOptions } from '../core/errors.js';
import { type OpCase, type RefArray, defineOp } from '../core/op.js';
import { precision } from '../core/precision.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { sumToOp } from './broadcast.js';
import { type Pair, checkImages, pairOf, slidingExtents } from './window.js';

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

interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

const attrs = {
  stride: 'ints',
  padding: 'ints',
  dilation: 'ints',
  groups: 'int',
  precision: ['high', 'highest'],
} as const;

function outputShape(op: string, x: Shape, weight: Shape, bias: Shape | undefined, geometry: Geometry): Shape {
  checkImages(op, x);
  const { groups } = geometry;
  const [n, , , channels] = x as readonly [number, number, number, number];
  if (weight.length !== 4 || (weight[1] as number) < 1 || (weight[2] as number) < 1)
    throw shapeError(op, `weight of shape ${showShape(weight)}`, '[out, kernel height, kernel width, in / groups]');
  const out = weight[0] as number;
  if (channels < 1) throw shapeError(op, `shape ${showShape(x)}`, 'at least one channel');
  if (channels % groups !== 0 || out % groups !== 0)
    throw shapeError(op, `${channels} channels to ${out} in ${groups} groups`, 'groups that divide both');
  if (weight[3] !== channels / groups) {
    throw shapeError(
      op,
      `weight of shape ${showShape(weight)} for ${showShape(x)} in ${groups} group${groups === 1 ? '' : 's'}`,
      `${channels / groups} input channels in the weight's last axis`,
    );
  }
  needShape(op, 'bias', bias, [out]);
  return [n, ...slidingExtents(op, x, { ...geometry, kernel: weight.slice(1, 3) }), out];
}

/** Calls f(start of y's and x's and weight's channels, out channel) for every product of a filter row with a pixel. */
function visit(
  x: Shape,
  weight: Shape,
  y: Shape,
  { stride, padding, dilation, groups }: Geometry,
  f: (at: number, from: number, filter: number, depth: number) => void,
): void {
  const [n, h, w, channels] = x as readonly [number, number, number, number];
  const [, kh, kw, depth] = weight as readonly [number, number, number, number];
  const [, outH, outW, out] = y as readonly [number, number, number, number];
  const [sh, sw] = stride as readonly [number, number];
  const [ph, pw] = padding as readonly [number, number];
  const [dh, dw] = dilation as readonly [number, number];
  for (let b = 0; b < n; b++)
    for (let i = 0; i < outH; i++)
      for (let j = 0; j < outW; j++)
        for (let p = 0; p < kh; p++)
          for (let q = 0; q < kw; q++) {
            const r = i * sh - ph + p * dh;
            const s = j * sw - pw + q * dw;
            if (r < 0 || r >= h || s < 0 || s >= w) continue;
            const pixel = ((b * h + r) * w + s) * channels;
            for (let o = 0; o < out; o++) {
              const group = Math.floor(o / (out / groups));
              f(((b * outH + i) * outW + j) * out + o, pixel + group * depth, ((o * kh + p) * kw + q) * depth, depth);
            }
          }
}

function correlate(x: RefArray, weight: RefArray, y: RefArray, geometry: Geometry): void {
  visit(x.shape, weight.shape, y.shape, geometry, (at, from, filter, depth) => {
    let sum = y.data[at] as number;
    for (let c = 0; c < depth; c++) sum += (x.data[from + c] as number) * (weight.data[filter + c] as number);
    y.data[at] = sum;
  });
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

export const conv2dOp = defineOp({
  name: 'conv2d',
  inputs: { x: 'diff', weight: 'diff', bias: 'diff?' },
  outputs: { y: 'diff' },
  attrs,
  saves: ['x', 'weight'],
  cast: 'low',
  shapes: ({ x, weight, bias }, geometry) => ({ y: outputShape('conv2d', x, weight, bias, geometry) }),
  backward: ({ saved: { x, weight }, attrs: geometry, grads: { y: g } }) => ({
    x: (to) => run(conv2dGradInputOp, { g, weight }, { ...geometry, shape: x.shape }, to).dx,
    weight: (to) => run(conv2dGradWeightOp, { x, g }, { ...geometry, shape: weight.shape }, to).dw,
    bias: (to) => run(sumToOp, { x: g }, { shape: [weight.shape[0] as number] }, to).y,
  }),
  reference({ x, weight, bias }, { y }, geometry) {
    if (bias !== undefined)
      for (let i = 0; i < y.data.length; i++) y.data[i] = bias.data[i % bias.data.length] as number;
    correlate(x, weight, y, geometry);
  },
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

export const conv2dGradInputOp = defineOp({
  name: 'conv2dGradInput',
  inputs: { g: 'const', weight: 'const' },
  outputs: { dx: 'const' },
  attrs: { ...attrs, shape: 'ints' },
  shapes({ g, weight }, { shape, ...geometry }) {
    needShape('conv2dGradInput', 'g', g, outputShape('conv2dGradInput', shape, weight, undefined, geometry));
    return { dx: shape };
  },
  reference({ g, weight }, { dx }, geometry) {
    visit(dx.shape, weight.shape, g.shape, geometry, (at, from, filter, depth) => {
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
    needShape('conv2dGradWeight', 'g', g, outputShape('conv2dGradWeight', x, shape, undefined, geometry));
    return { dw: shape };
  },
  reference({ x, g }, { dw }, geometry) {
    visit(x.shape, dw.shape, g.shape, geometry, (at, from, filter, depth) => {
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
  checkOptions('conv2d', options, ['stride', 'padding', 'dilation', 'groups']);
  const groups = options.groups ?? 1;
  if (!Number.isSafeInteger(groups) || groups < 1)
    throw new SecateurError('ERR_ARGUMENT', `conv2d: groups is ${groups}; give a whole number of at least 1.`, {
      groups,
    });
  const geometry = {
    stride: pairOf('conv2d', 'stride', options.stride ?? 1, 1),
    padding: pairOf('conv2d', 'padding', options.padding ?? 0, 0),
    dilation: pairOf('conv2d', 'dilation', options.dilation ?? 1, 1),
    groups,
    precision: precision(),
  };
  return run(conv2dOp, { x, weight, bias }, geometry).y;
}
