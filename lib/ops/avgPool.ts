import { checkOptions } from '../core/errors.js';
import { type RefArray, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { reshape } from './reshape.js';
import { type Pair, type PoolOptions, checkImages, checkPooled, pairOf, poolWindow, slidingExtents } from './window.js';

export interface AvgPool2dOptions extends PoolOptions {
  /** Count the zeros of the border in the mean (default true). What hangs over the border is never counted. */
  countIncludePad?: boolean;
}

/** Where one window of an axis begins and ends, and how many entries its mean is divided by. */
type Span = readonly [begin: number, end: number, count: number];

interface AvgWindow {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly countIncludePad: boolean;
}

function slidingSpan(size: number, axis: number, i: number, window: AvgWindow): Span {
  const padding = window.padding[axis] as number;
  const begin = i * (window.stride[axis] as number) - padding;
  const end = Math.min(begin + (window.kernel[axis] as number), size + padding);
  const from = Math.max(begin, 0);
  const to = Math.min(end, size);
  return [from, to, window.countIncludePad ? end - begin : to - from];
}

function adaptiveSpan(size: number, out: number, i: number): Span {
  const begin = Math.floor((i * size) / out);
  const end = Math.ceil(((i + 1) * size) / out);
  return [begin, end, end - begin];
}

/** Calls f(index of y, index of x, divisor) for every entry of every window. */
function visit(
  x: Shape,
  y: Shape,
  span: (size: number, out: number, axis: number, i: number) => Span,
  f: (at: number, from: number, count: number) => void,
): void {
  const [n, h, w, channels] = x as readonly [number, number, number, number];
  const [, outH, outW] = y as readonly [number, number, number, number];
  for (let b = 0; b < n; b++)
    for (let i = 0; i < outH; i++)
      for (let j = 0; j < outW; j++) {
        const [top, bottom, rows] = span(h, outH, 0, i);
        const [left, right, columns] = span(w, outW, 1, j);
        for (let r = top; r < bottom; r++)
          for (let s = left; s < right; s++)
            for (let c = 0; c < channels; c++)
              f(((b * outH + i) * outW + j) * channels + c, ((b * h + r) * w + s) * channels + c, rows * columns);
      }
}

const meanInto =
  (x: RefArray, y: RefArray) =>
  (at: number, from: number, count: number): void => {
    y.data[at] = (y.data[at] as number) + (x.data[from] as number) / count;
  };
const spreadInto =
  (g: RefArray, dx: RefArray) =>
  (at: number, from: number, count: number): void => {
    dx.data[from] = (dx.data[from] as number) + (g.data[at] as number) / count;
  };

const sliding =
  (window: AvgWindow) =>
  (size: number, _: number, axis: number, i: number): Span =>
    slidingSpan(size, axis, i, window);
const adaptive = (size: number, out: number, _: number, i: number): Span => adaptiveSpan(size, out, i);

const attrs = (
  kernel: Shape,
  stride: Shape,
  padding: Shape,
  ceilMode = false,
  countIncludePad = true,
): Record<string, unknown> => ({ kernel, stride, padding, ceilMode, countIncludePad });

export const avgPool2dOp = defineOp({
  name: 'avgPool2d',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { kernel: 'ints', stride: 'ints', padding: 'ints', ceilMode: 'bool', countIncludePad: 'bool' },
  shapes({ x }, window) {
    checkImages('avgPool2d', x);
    return { y: [x[0] as number, ...slidingExtents('avgPool2d', x, window), x[3] as number] };
  },
  backward: ({ attrs: window, inputs: { x }, grads: { y: g } }) => ({
    x: (to) => {
      const { kernel, stride, padding, countIncludePad } = window;
      return run(avgPool2dGradOp, { g }, { kernel, stride, padding, countIncludePad, shape: x.shape }, to).dx;
    },
  }),
  reference({ x }, { y }, window) {
    visit(x.shape, y.shape, sliding(window), meanInto(x, y));
  },
  cases: [
    { inputs: { x: [2, 6, 6, 5] }, attrs: attrs([2, 2], [2, 2], [0, 0]) },
    { inputs: { x: [1, 7, 9, 3] }, attrs: attrs([3, 3], [2, 2], [1, 1]) },
    { inputs: { x: [1, 7, 9, 3] }, attrs: attrs([3, 3], [2, 2], [1, 1], false, false) },
    { inputs: { x: [1, 6, 5, 70] }, attrs: attrs([3, 2], [2, 1], [1, 0], true) },
    { inputs: { x: [2, 6, 6, 2] }, attrs: attrs([3, 3], [2, 2], [1, 1], true, true) },
    { inputs: { x: [2, 6, 6, 2] }, attrs: attrs([3, 3], [2, 2], [1, 1], true, false) },
    { inputs: { x: [1, 5, 5, 2] }, attrs: attrs([2, 2], [3, 3], [0, 0], true) },
    { inputs: { x: [2, 5, 6, 24] }, attrs: attrs([3, 3], [2, 2], [1, 1]) },
    { inputs: { x: [0, 4, 4, 3] }, attrs: attrs([2, 2], [2, 2], [0, 0]) },
    {
      name: 'special values',
      inputs: { x: { shape: [1, 4, 6, 1], values: [NaN, 1, -Infinity, -Infinity, Infinity, 2, 3] } },
      attrs: attrs([2, 2], [1, 1], [1, 1]),
      grad: false,
    },
    {
      inputs: { x: [4, 3] },
      attrs: attrs([2, 2], [2, 2], [0, 0]),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'four axes' },
    },
    {
      inputs: { x: [1, 4, 2, 3] },
      attrs: attrs([3, 3], [1, 1], [0, 0]),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: "kernel's reach" },
    },
    { name: 'bench', inputs: { x: [32, 56, 56, 128] }, attrs: attrs([2, 2], [2, 2], [0, 0]), bench: true, grad: false },
  ],
});

export const avgPool2dGradOp = defineOp({
  name: 'avgPool2dGrad',
  inputs: { g: 'const' },
  outputs: { dx: 'const' },
  attrs: { kernel: 'ints', stride: 'ints', padding: 'ints', countIncludePad: 'bool', shape: 'ints' },
  shapes({ g }, { shape, ...window }) {
    checkPooled('avgPool2dGrad', shape, g, window);
    return { dx: shape };
  },
  reference({ g }, { dx }, window) {
    visit(dx.shape, g.shape, sliding(window), spreadInto(g, dx));
  },
  cases: [
    {
      inputs: { g: [2, 4, 3, 5] },
      attrs: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], countIncludePad: false, shape: [2, 7, 6, 5] },
    },
    {
      inputs: { g: [1, 2, 2, 33] },
      attrs: { kernel: [2, 2], stride: [3, 3], padding: [0, 0], countIncludePad: true, shape: [1, 6, 5, 33] },
    },
    {
      name: 'bench',
      inputs: { g: [32, 28, 28, 128] },
      attrs: { kernel: [2, 2], stride: [2, 2], padding: [0, 0], countIncludePad: true, shape: [32, 56, 56, 128] },
      bench: true,
    },
  ],
});

/** Refuses images without a pixel, over which there is no mean. */
function checkFilled(op: string, x: Shape): void {
  checkImages(op, x);
  if (x[1] === 0 || x[2] === 0) throw shapeError(op, `shape ${showShape(x)}`, 'images of at least 1 by 1');
}

export const adaptiveAvgPool2dOp = defineOp({
  name: 'adaptiveAvgPool2d',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { outputSize: 'ints' },
  shapes({ x }, { outputSize }) {
    checkFilled('adaptiveAvgPool2d', x);
    return { y: [x[0] as number, ...outputSize, x[3] as number] };
  },
  backward: ({ inputs: { x }, grads: { y: g } }) => ({
    x: (to) => run(adaptiveAvgPool2dGradOp, { g }, { shape: x.shape }, to).dx,
  }),
  reference({ x }, { y }) {
    visit(x.shape, y.shape, adaptive, meanInto(x, y));
  },
  cases: [
    { inputs: { x: [2, 7, 5, 3] }, attrs: { outputSize: [1, 1] } },
    { inputs: { x: [2, 7, 5, 3] }, attrs: { outputSize: [3, 2] } },
    { inputs: { x: [1, 3, 2, 70] }, attrs: { outputSize: [5, 4] } },
    { inputs: { x: [2, 7, 4, 24] }, attrs: { outputSize: [3, 6] } },
    { inputs: { x: [0, 3, 2, 7] }, attrs: { outputSize: [1, 1] } },
    {
      name: 'special values',
      inputs: { x: { shape: [1, 4, 6, 1], values: [NaN, 1, -Infinity, -Infinity, Infinity, 2, 3] } },
      attrs: { outputSize: [4, 3] },
      grad: false,
    },
    {
      inputs: { x: [2, 0, 5, 3] },
      attrs: { outputSize: [1, 1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '1 by 1' },
    },
    { name: 'bench', inputs: { x: [128, 7, 7, 512] }, attrs: { outputSize: [1, 1] }, bench: true, grad: false },
  ],
});

export const adaptiveAvgPool2dGradOp = defineOp({
  name: 'adaptiveAvgPool2dGrad',
  inputs: { g: 'const' },
  outputs: { dx: 'const' },
  attrs: { shape: 'ints' },
  shapes({ g }, { shape }) {
    checkFilled('adaptiveAvgPool2dGrad', shape);
    checkImages('adaptiveAvgPool2dGrad', g);
    needShape('adaptiveAvgPool2dGrad', 'g', g, [shape[0] as number, ...g.slice(1, 3), shape[3] as number]);
    return { dx: shape };
  },
  reference({ g }, { dx }) {
    visit(dx.shape, g.shape, adaptive, spreadInto(g, dx));
  },
  cases: [
    { inputs: { g: [2, 3, 2, 5] }, attrs: { shape: [2, 7, 5, 5] } },
    { inputs: { g: [1, 5, 4, 33] }, attrs: { shape: [1, 3, 2, 33] } },
    { name: 'bench', inputs: { g: [128, 1, 1, 512] }, attrs: { shape: [128, 7, 7, 512] }, bench: true },
  ],
});

/**
 * Mean of each window of `x [N, H, W, C]`: `y [N, H', W', C]` with `H' = floor((H + 2 padding - kernelSize) / stride) + 1`
 * (rounded up with `ceilMode`). The mean counts the zeros of the border unless `countIncludePad` is false. A gradient for
 * `x`. PyTorch's `avg_pool2d`.
 *
 * @throws ERR_SHAPE_MISMATCH when `x` has not four axes or is smaller than the kernel, ERR_ARGUMENT for a padding of
 * more than half the kernel
 */
export function avgPool2d(x: Tensor, kernelSize: Pair, options: AvgPool2dOptions = {}): Tensor {
  checkOptions('avgPool2d', options, ['stride', 'padding', 'ceilMode', 'countIncludePad']);
  const window = poolWindow('avgPool2d', kernelSize, options);
  return run(avgPool2dOp, { x }, { ...window, countIncludePad: options.countIncludePad ?? true }).y;
}

/**
 * Mean over windows chosen so that `y` is `[N, outputSize[0], outputSize[1], C]`: along each axis window `i` runs from
 * `floor(i * size / out)` to `ceil((i + 1) * size / out)`. A gradient for `x`. PyTorch's `adaptive_avg_pool2d`.
 *
 * @throws ERR_SHAPE_MISMATCH when `x` has not four axes or no pixels, ERR_ARGUMENT for an output size below 1
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: Pair): Tensor {
  return run(adaptiveAvgPool2dOp, { x }, { outputSize: pairOf('adaptiveAvgPool2d', 'outputSize', outputSize, 1) }).y;
}

/** Mean over all pixels: `x [N, H, W, C]` to `[N, C]`. A gradient for `x`. */
export function globalAvgPool2d(x: Tensor): Tensor {
  const y = adaptiveAvgPool2d(x, 1);
  return reshape(y, [y.shape[0] as number, y.shape[3] as number]);
}
