import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { erfOf } from './erf.js';
import { checkMatrix, group, keptEntries, matrixOf, pack, packedShape, unpack, wordColumns } from './packed24.js';
import { type Pair, checkImages, pairOf, slidingExtents } from './window.js';

export const pack24Op = defineOp({
  name: 'pack24',
  inputs: { w: 'const' },
  outputs: { values: 'const', meta: 'const', valuesT: 'const?', metaT: 'const?' },
  attrs: { transposed: 'bool' },
  outputTypes: { values: 'bf16', meta: 'i32', valuesT: 'bf16', metaT: 'i32' },
  shapes({ w }, { transposed }) {
    const [rows, columns] = checkMatrix('pack24', w, transposed);
    return {
      values: [rows, columns / 2],
      meta: [rows, columns / wordColumns],
      valuesT: transposed ? [columns, rows / 2] : null,
      metaT: transposed ? [columns, rows / wordColumns] : null,
    };
  },
  reference({ w }, { values, meta, valuesT, metaT }, { transposed }) {
    const [rows, columns] = matrixOf(w.shape);
    const kept = keptEntries(w, transposed);
    const entry = (i: number): { value: number; kept: boolean } => ({
      value: w.data[i] as number,
      kept: kept[i] === 1,
    });
    pack(rows, columns, (r, c) => entry(r * columns + c), values, meta);
    if (valuesT !== undefined && metaT !== undefined)
      pack(columns, rows, (r, c) => entry(c * columns + r), valuesT, metaT);
  },
  cases: [
    { inputs: { w: [3, 64] }, attrs: { transposed: false } },
    { inputs: { w: [5, 2, 2, 8] }, attrs: { transposed: false } },
    { inputs: { w: [64, 96] }, attrs: { transposed: true } },
    { name: 'large', inputs: { w: [160, 224] }, attrs: { transposed: true } },
    { name: 'ties', inputs: { w: { shape: [32, 32], values: [1, -1, 0, 0, 0, 2, 2] } }, attrs: { transposed: true } },
    {
      name: 'special values',
      inputs: { w: { shape: [32, 32], values: [NaN, 1, -Infinity, 2, -0, 3, NaN, 1e-40, 5] } },
      attrs: { transposed: true },
    },
    { inputs: { w: [0, 32] }, attrs: { transposed: false } },
    {
      inputs: { w: [4, 36] },
      attrs: { transposed: false },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'leave this weight dense' },
    },
    {
      inputs: { w: [33, 32] },
      attrs: { transposed: true },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'rows and columns' },
    },
    { inputs: { w: [32] }, attrs: { transposed: false }, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'two axes' } },
    { name: 'bench', inputs: { w: [1024, 1024] }, attrs: { transposed: true }, bench: true },
  ],
  cost: ({ w }, _, { transposed }) => ({ flops: sizeOf(w), bytes: (transposed ? 4.25 : 3.125) * sizeOf(w) }),
});

const activations = ['none', 'relu', 'gelu'] as const;
const tiles = ['byRule', 'small', 'large'] as const;
/**
 * The tiles in which CUDA works a product through: 64 x 64, 128 x 128, or whichever of them the rule for dense products
 * takes (the large one where that fills the GPU). The result is the same.
 */
export type Tile24 = (typeof tiles)[number];
export type Activation = (typeof activations)[number];

function activate(x: number, activation: Activation): number {
  if (activation === 'relu') return x > 0 || Number.isNaN(x) ? x : 0;
  return activation === 'gelu' ? 0.5 * x * (1 + erfOf(x * Math.SQRT1_2)) : x;
}

// Words with every way to place two of four.
const places = [0x4, 0x8, 0xc, 0x9, 0xd, 0xe];
const someMeta = Array.from({ length: 7 }, (_, i) =>
  Array.from({ length: 8 }, (_, g) => (places[(3 * i + g * (i + 1)) % 6] as number) << (4 * g)).reduce((a, b) => a | b),
);
const metaCase = (shape: Shape): { shape: Shape; dtype: 'i32'; values: number[] } => ({
  shape,
  dtype: 'i32',
  values: someMeta,
});

const packedTypes = { types: ['bf16'], inputTypes: { meta: 'i32' } } as const;
const tolerance = { bf16: 2e-2, why: 'sums of up to 512 products; bf16 has 8 bits' };

export const linear24Op = defineOp({
  name: 'linear24',
  inputs: { x: 'const', values: 'const', meta: 'const', bias: 'const?' },
  outputs: { y: 'const' },
  attrs: { activation: activations, tile: tiles },
  ...packedTypes,
  shapes({ x, values, meta, bias }) {
    const [out, columns] = packedShape('linear24', values, meta);
    if (x.length < 1 || x[x.length - 1] !== columns)
      throw shapeError(
        'linear24',
        `x of shape ${showShape(x)}`,
        `a last axis of ${columns}, the packed weight's columns`,
      );
    needShape('linear24', 'bias', bias, [out]);
    return { y: [...x.slice(0, -1), out] };
  },
  reference({ x, values, meta, bias }, { y }, { activation }) {
    const { data, columns } = unpack(values, meta);
    const out = values.shape[0] as number;
    for (let i = 0; i < y.data.length; i++) {
      const [row, o] = [Math.floor(i / out), i % out];
      let sum = bias === undefined ? 0 : (bias.data[o] as number);
      for (let k = 0; k < columns; k++) {
        const w = data[o * columns + k] as number;
        if (w !== 0) sum += (x.data[row * columns + k] as number) * w;
      }
      y.data[i] = activate(sum, activation);
    }
  },
  cases: [
    {
      inputs: { x: [5, 64], values: [24, 32], meta: metaCase([24, 2]) },
      attrs: { activation: 'none', tile: 'byRule' },
    },
    {
      inputs: { x: [2, 3, 96], values: [17, 48], meta: metaCase([17, 3]), bias: [17] },
      attrs: { activation: 'relu', tile: 'byRule' },
    },
    {
      inputs: { x: [70, 32], values: [130, 16], meta: metaCase([130, 1]), bias: [130] },
      attrs: { activation: 'gelu', tile: 'byRule' },
    },
    {
      name: 'many tiles',
      inputs: { x: [300, 160], values: [264, 80], meta: metaCase([264, 5]) },
      attrs: { activation: 'none', tile: 'byRule' },
    },
    {
      name: 'large tiles',
      inputs: { x: [70, 96], values: [130, 48], meta: metaCase([130, 3]), bias: [130] },
      attrs: { activation: 'relu', tile: 'large' },
    },
    {
      name: 'small tiles',
      inputs: { x: [70, 96], values: [130, 48], meta: metaCase([130, 3]) },
      attrs: { activation: 'none', tile: 'small' },
    },
    {
      name: 'no rows',
      inputs: { x: [0, 64], values: [8, 32], meta: metaCase([8, 2]) },
      attrs: { activation: 'none', tile: 'byRule' },
    },
    {
      inputs: { x: [5, 60], values: [24, 32], meta: metaCase([24, 2]) },
      attrs: { activation: 'none', tile: 'byRule' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'last axis of 64' },
    },
    {
      inputs: { x: [5, 64], values: [24, 32], meta: metaCase([24, 1]) },
      attrs: { activation: 'none', tile: 'byRule' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'meta' },
    },
    {
      name: 'bench',
      inputs: { x: [512, 1024], values: [1024, 512], meta: metaCase([1024, 32]) },
      attrs: { activation: 'none', tile: 'byRule' },
      bench: true,
    },
  ],
  tolerance,
  cost: ({ values }, { y }) => ({ flops: 2 * sizeOf(y) * (values[1] as number) }),
});

export const conv2d24Op = defineOp({
  name: 'conv2d24',
  inputs: { x: 'const', values: 'const', meta: 'const', bias: 'const?' },
  outputs: { y: 'const' },
  attrs: { kernel: 'ints', stride: 'ints', padding: 'ints', dilation: 'ints', activation: activations, tile: tiles },
  ...packedTypes,
  shapes({ x, values, meta, bias }, window) {
    checkImages('conv2d24', x);
    const [out, columns] = packedShape('conv2d24', values, meta);
    const [height, width] = window.kernel as readonly [number, number];
    const channels = x[3] as number;
    if (columns !== height * width * channels || channels % group !== 0) {
      throw shapeError(
        'conv2d24',
        `a packed weight of ${columns} columns for ${showShape(x)} and kernel ${showShape(window.kernel)}`,
        `kernel height x width x channels, ${height * width * channels}, with channels in fours`,
      );
    }
    needShape('conv2d24', 'bias', bias, [out]);
    return { y: [x[0] as number, ...slidingExtents('conv2d24', x, window), out] };
  },
  reference({ x, values, meta, bias }, { y }, { kernel, stride, padding, dilation, activation }) {
    const { data, columns } = unpack(values, meta);
    const [, height, width, channels] = x.shape as readonly [number, number, number, number];
    const [, outHeight, outWidth, out] = y.shape as readonly [number, number, number, number];
    const [kh, kw] = kernel as readonly [number, number];
    for (let i = 0; i < y.data.length; i++) {
      const o = i % out;
      const pixel = Math.floor(i / out);
      const [n, oy, ox] = [
        Math.floor(pixel / outWidth / outHeight),
        Math.floor(pixel / outWidth) % outHeight,
        pixel % outWidth,
      ];
      let sum = bias === undefined ? 0 : (bias.data[o] as number);
      for (let p = 0; p < kh; p++)
        for (let q = 0; q < kw; q++) {
          const r = oy * (stride[0] as number) - (padding[0] as number) + p * (dilation[0] as number);
          const s = ox * (stride[1] as number) - (padding[1] as number) + q * (dilation[1] as number);
          if (r < 0 || r >= height || s < 0 || s >= width) continue;
          for (let c = 0; c < channels; c++) {
            const w = data[o * columns + (p * kw + q) * channels + c] as number;
            if (w !== 0) sum += (x.data[((n * height + r) * width + s) * channels + c] as number) * w;
          }
        }
      y.data[i] = activate(sum, activation);
    }
  },
  cases: [
    {
      name: '1x1',
      inputs: { x: [2, 5, 5, 32], values: [24, 16], meta: metaCase([24, 1]), bias: [24] },
      attrs: { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1], activation: 'relu', tile: 'byRule' },
    },
    {
      name: 'many tiles',
      inputs: { x: [1, 12, 11, 32], values: [136, 16], meta: metaCase([136, 1]) },
      attrs: { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1], activation: 'none', tile: 'byRule' },
    },
    {
      name: '3x3',
      inputs: { x: [2, 7, 6, 32], values: [40, 144], meta: metaCase([40, 9]) },
      attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], activation: 'none', tile: 'byRule' },
    },
    {
      name: '3x3 in large tiles',
      inputs: { x: [2, 7, 6, 32], values: [40, 144], meta: metaCase([40, 9]), bias: [40] },
      attrs: {
        kernel: [3, 3],
        stride: [2, 1],
        padding: [1, 1],
        dilation: [1, 1],
        activation: 'relu',
        tile: 'large',
      },
    },
    {
      name: 'few channels',
      inputs: { x: [1, 9, 9, 4], values: [8, 32], meta: metaCase([8, 2]), bias: [8] },
      attrs: { kernel: [4, 4], stride: [2, 1], padding: [1, 2], dilation: [1, 1], activation: 'gelu', tile: 'byRule' },
    },
    {
      inputs: { x: [1, 4, 4, 32], values: [8, 32], meta: metaCase([8, 2]) },
      attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], activation: 'none', tile: 'byRule' },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'channels in fours' },
    },
    {
      name: 'bench',
      inputs: { x: [8, 28, 28, 128], values: [128, 576], meta: metaCase([128, 36]) },
      attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], activation: 'relu', tile: 'byRule' },
      bench: true,
    },
  ],
  tolerance,
  cost: ({ values }, { y }) => ({ flops: 2 * sizeOf(y) * (values[1] as number) }),
});

/** A weight with two of every four entries, as sparse tensor cores read it; the second pair is that of its transpose. */
export interface Packed24 {
  readonly values: Tensor;
  readonly meta: Tensor;
  readonly valuesT?: Tensor | undefined;
  readonly metaT?: Tensor | undefined;
}

/**
 * Packs a weight `[rows, ...]`, a matrix of `rows` x `columns` (the product of the other axes), f32 or bf16, with two of
 * every four neighbours: `values` `[rows, columns / 2]` in bf16 and `meta` `[rows, columns / 32]`, four bits a group.
 * Of each four the two largest magnitudes (as bf16) stay, ties at the smaller index dropped first: a weight that
 * `nmHardMask` has cut to 2:4 is packed without loss. With `transposed` the transpose is packed too, for products with
 * it (gradients): then of each 4 x 4 tile at most two a row and two a column stay, largest first, the same entries in
 * both. Without gradient.
 *
 * @throws ERR_SHAPE_MISMATCH when columns (with `transposed` also rows) are no multiple of 32
 */
export function pack24(w: Tensor, options: { transposed?: boolean } = {}): Packed24 {
  checkOptions('pack24', options, ['transposed']);
  return run(pack24Op, { w }, { transposed: options.transposed ?? false });
}

export interface Linear24Options {
  /** Applied to the sum and the bias: none (default), relu, or gelu by the error function. */
  activation?: Activation;
  /** On CUDA; default byRule. */
  tile?: Tile24;
}

function oneOf<W extends string>(op: string, name: string, value: unknown, words: readonly W[]): W {
  if (words.includes(value as W)) return value as W;
  throw new SecateurError('ERR_ARGUMENT', `${op}: ${name} is ${String(value)}; use one of ${words.join(', ')}.`, {
    [name]: value,
  });
}

/**
 * `y = activation(x w^T + bias)` with a packed weight: `x [..., columns]` and `bias [rows]` in bf16, `y [..., rows]`. On
 * CUDA it runs on sparse tensor cores; elsewhere the weight is unpacked first, which saves memory and no time. Sums are
 * in f32. Without gradient: for `dx`, call it with the packed transpose on `dy`.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE
 */
export function linear24(x: Tensor, weight: Packed24, bias?: Tensor, options: Linear24Options = {}): Tensor {
  checkOptions('linear24', options, ['activation', 'tile']);
  const activation = oneOf('linear24', 'activation', options.activation ?? 'none', activations);
  const tile = oneOf('linear24', 'tile', options.tile ?? 'byRule', tiles);
  return run(linear24Op, { x, values: weight.values, meta: weight.meta, bias }, { activation, tile }).y;
}

export interface Conv2d24Options extends Linear24Options {
  stride?: Pair;
  padding?: Pair;
  dilation?: Pair;
}

/**
 * Convolution with a packed weight: as `conv2d`, with the weight `[O, kh, kw, C]` packed by `pack24` and `kernelSize`
 * `[kh, kw]`, since the packed form does not know it. `C` is a multiple of 4. Otherwise as `linear24`.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE, ERR_ARGUMENT
 */
export function conv2d24(
  x: Tensor,
  weight: Packed24,
  kernelSize: Pair,
  bias?: Tensor,
  options: Conv2d24Options = {},
): Tensor {
  checkOptions('conv2d24', options, ['stride', 'padding', 'dilation', 'activation', 'tile']);
  const attrs = {
    kernel: pairOf('conv2d24', 'kernelSize', kernelSize, 1),
    stride: pairOf('conv2d24', 'stride', options.stride ?? 1, 1),
    padding: pairOf('conv2d24', 'padding', options.padding ?? 0, 0),
    dilation: pairOf('conv2d24', 'dilation', options.dilation ?? 1, 1),
    activation: oneOf('conv2d24', 'activation', options.activation ?? 'none', activations),
    tile: oneOf('conv2d24', 'tile', options.tile ?? 'byRule', tiles),
  };
  return run(conv2d24Op, { x, values: weight.values, meta: weight.meta, bias }, attrs).y;
}
