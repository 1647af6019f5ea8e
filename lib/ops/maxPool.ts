import { checkOptions } from '../core/errors.js';
import { type OpCase, defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import {
  type Pair,
  type PoolOptions,
  type Sliding,
  checkImages,
  checkPooled,
  poolWindow,
  slidingExtents,
} from './window.js';

// The winner of a window is kept as its place in the window: one byte, unless the window has more places.
const places = (kernel: unknown): 'u8' | 'i32' => {
  const [h, w] = kernel as readonly [number, number];
  return h * w <= 256 ? 'u8' : 'i32';
};

const window = (kernel: Shape, stride: Shape, padding: Shape, ceilMode = false): Record<string, unknown> => ({
  kernel,
  stride,
  padding,
  ceilMode,
});

const shapes: readonly OpCase[] = [
  { inputs: { x: { shape: [2, 6, 6, 5], draw: 'distinct' } }, attrs: window([2, 2], [2, 2], [0, 0]) },
  { inputs: { x: { shape: [1, 7, 9, 3], draw: 'distinct' } }, attrs: window([3, 3], [2, 2], [1, 1]) },
  { inputs: { x: { shape: [1, 6, 5, 70], draw: 'distinct' } }, attrs: window([3, 2], [2, 1], [1, 0], true) },
  { inputs: { x: { shape: [2, 5, 5, 2], draw: 'distinct' } }, attrs: window([2, 2], [2, 2], [1, 1], true) },
  { inputs: { x: { shape: [1, 5, 5, 2], draw: 'distinct' } }, attrs: window([2, 2], [3, 3], [0, 0], true) },
  { inputs: { x: { shape: [1, 18, 17, 2], draw: 'distinct' } }, attrs: window([18, 17], [1, 1], [0, 0]) },
  { inputs: { x: { shape: [2, 5, 6, 24], draw: 'distinct' } }, attrs: window([3, 3], [2, 2], [1, 1]) },
  { inputs: { x: [0, 4, 4, 3] }, attrs: window([2, 2], [2, 2], [0, 0]) },
];

export const maxPool2dOp = defineOp({
  name: 'maxPool2d',
  inputs: { x: 'diff' },
  outputs: { y: 'diff', winner: 'saved' },
  attrs: { kernel: 'ints', stride: 'ints', padding: 'ints', ceilMode: 'bool' },
  outputTypes: { winner: (_, { kernel }) => places(kernel) },
  saves: ['winner'],
  shapes({ x }, attrs) {
    checkImages('maxPool2d', x);
    const [h, w] = slidingExtents('maxPool2d', x, attrs);
    const y = [x[0] as number, h, w, x[3] as number];
    return { y, winner: y };
  },
  backward: ({ saved: { winner }, attrs: { kernel, stride, padding }, inputs: { x }, grads: { y: g } }) => ({
    x: (to) => run(maxPool2dGradOp, { g, winner }, { kernel, stride, padding, shape: x.shape }, to).dx,
  }),
  reference({ x }, { y, winner }, attrs) {
    winner.data.fill(-1);
    visit(x.shape, y.shape, attrs, (at, place, from) => {
      const value = x.data[from] as number;
      const best = y.data[at] as number;
      // Every NaN takes over, as in PyTorch.
      if ((winner.data[at] as number) < 0 || value > best || Number.isNaN(value)) {
        y.data[at] = value;
        winner.data[at] = place;
      }
    });
  },
  cases: [
    ...shapes,
    {
      name: 'ties go to the first',
      inputs: { x: { shape: [1, 4, 4, 2], values: [1, 1, 1] } },
      attrs: window([2, 2], [2, 2], [0, 0]),
      grad: false,
    },
    { name: 'a large window', inputs: { x: [1, 18, 17, 8] }, attrs: window([17, 17], [1, 1], [0, 0]), grad: false },
    {
      name: 'special values',
      inputs: { x: { shape: [1, 4, 6, 1], values: [NaN, 1, -Infinity, -Infinity, Infinity, 2, 3, NaN, -0, 0] } },
      attrs: window([3, 3], [1, 1], [1, 1]),
      grad: false,
    },
    {
      name: 'nothing but -infinity',
      inputs: { x: { shape: [1, 4, 4, 3], values: [-Infinity] } },
      attrs: window([3, 3], [2, 2], [1, 1]),
      grad: false,
    },
    {
      inputs: { x: [4, 4, 3] },
      attrs: window([2, 2], [2, 2], [0, 0]),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'four axes' },
    },
    {
      inputs: { x: [1, 2, 4, 3] },
      attrs: window([3, 3], [1, 1], [0, 0]),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: "kernel's reach" },
    },
    {
      name: 'bench',
      inputs: { x: [32, 112, 112, 64] },
      attrs: window([3, 3], [2, 2], [1, 1]),
      bench: true,
      grad: false,
    },
  ],
});

export const maxPool2dGradOp = defineOp({
  name: 'maxPool2dGrad',
  inputs: { g: 'const', winner: 'const' },
  outputs: { dx: 'const' },
  attrs: { kernel: 'ints', stride: 'ints', padding: 'ints', shape: 'ints' },
  inputTypes: { winner: 'any' },
  shapes({ g, winner }, { shape, ...window }) {
    checkPooled('maxPool2dGrad', shape, g, window);
    needShape('maxPool2dGrad', 'winner', winner, g);
    return { dx: shape };
  },
  reference({ g, winner }, { dx }, attrs) {
    visit(dx.shape, g.shape, attrs, (at, place, from) => {
      if (winner.data[at] === place) dx.data[from] = (dx.data[from] as number) + (g.data[at] as number);
    });
  },
  cases: [
    {
      inputs: { g: [2, 4, 3, 5], winner: { shape: [2, 4, 3, 5], dtype: 'u8', draw: 'index', below: 9 } },
      attrs: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], shape: [2, 7, 6, 5] },
    },
    {
      inputs: { g: [1, 4, 4, 33], winner: { shape: [1, 4, 4, 33], dtype: 'i32', draw: 'index', below: 9 } },
      attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], shape: [1, 4, 4, 33] },
    },
    {
      inputs: { g: [1, 4, 4, 24], winner: { shape: [1, 4, 4, 24], dtype: 'i32', draw: 'index', below: 9 } },
      attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], shape: [1, 4, 4, 24] },
    },
    {
      inputs: { g: [1, 3, 4, 67], winner: { shape: [1, 3, 4, 67], dtype: 'u8', draw: 'index', below: 4 } },
      attrs: { kernel: [2, 2], stride: [2, 2], padding: [0, 0], shape: [1, 7, 9, 67] },
    },
    {
      name: 'bench',
      inputs: { g: [32, 56, 56, 64], winner: { shape: [32, 56, 56, 64], dtype: 'u8', draw: 'index', below: 9 } },
      attrs: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], shape: [32, 112, 112, 64] },
      bench: true,
    },
  ],
});

/** Calls f(index of y, place in the window, index of x) for every entry of every window, in PyTorch's order. */
function visit(x: Shape, y: Shape, window: Sliding, f: (at: number, place: number, from: number) => void): void {
  const [n, h, w, channels] = x as readonly [number, number, number, number];
  const [, outH, outW] = y as readonly [number, number, number, number];
  const [kh, kw] = window.kernel as readonly [number, number];
  const [sh, sw] = window.stride as readonly [number, number];
  const [ph, pw] = window.padding as readonly [number, number];
  for (let b = 0; b < n; b++)
    for (let i = 0; i < outH; i++)
      for (let j = 0; j < outW; j++)
        for (let p = 0; p < kh; p++)
          for (let q = 0; q < kw; q++) {
            const r = i * sh - ph + p;
            const s = j * sw - pw + q;
            if (r < 0 || r >= h || s < 0 || s >= w) continue;
            for (let c = 0; c < channels; c++)
              f(((b * outH + i) * outW + j) * channels + c, p * kw + q, ((b * h + r) * w + s) * channels + c);
          }
}

/**
 * Largest value of each window of `x [N, H, W, C]`: `y [N, H', W', C]` with
 * `H' = floor((H + 2 padding - kernelSize) / stride) + 1` (rounded up with `ceilMode`).
 *
 * The border never wins; a NaN in a window does. The gradient goes to the window's first largest entry (its last NaN),
 * as in PyTorch's `max_pool2d`.
 *
 * @throws ERR_SHAPE_MISMATCH when `x` has not four axes or is smaller than the kernel, ERR_ARGUMENT for a padding of
 * more than half the kernel
 */
export function maxPool2d(x: Tensor, kernelSize: Pair, options: PoolOptions = {}): Tensor {
  checkOptions('maxPool2d', options, ['stride', 'padding', 'ceilMode']);
  return run(maxPool2dOp, { x }, poolWindow('maxPool2d', kernelSize, options)).y;
}
