import { checkOptions } from '../core/errors.js';
import { type OpCase, type RefArray, defineOp } from '../core/op.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';

export interface BatchNormOptions {
  /** Normalise by this batch and move the running statistics (true, the default), or normalise by them (false). */
  training?: boolean;
  /** How far the running statistics move towards the batch's (default 0.1). */
  momentum?: number;
  /** Added to the variance (default 1e-5). */
  eps?: number;
}

export interface BatchNormReluOptions extends BatchNormOptions {
  /** Added before the relu: the shortcut of a residual block. Shape and dtype of `x`. */
  add?: Tensor | undefined;
}

/** Refuses images and vectors that do not belong together; gives the shape of a vector over the channels. */
function check(op: string, x: Shape, perChannel: Readonly<Record<string, Shape>>, training: boolean): Shape {
  if (x.length < 2) throw shapeError(op, `shape ${showShape(x)}`, 'two axes or more, the last one channels');
  const channels = [x[x.length - 1] as number];
  for (const name in perChannel) needShape(op, name, perChannel[name], channels);
  if (training && sizeOf(x.slice(0, -1)) < 2)
    throw shapeError(op, `shape ${showShape(x)} in training`, 'more than one value a channel');
  return channels;
}

interface Arrays {
  readonly x: RefArray;
  readonly weight: RefArray;
  readonly bias: RefArray;
  readonly runningMean: RefArray;
  readonly runningVar: RefArray;
}
interface Settings {
  readonly training: boolean;
  readonly momentum: number;
  readonly eps: number;
}
interface Results {
  readonly y: RefArray;
  readonly mean: RefArray;
  readonly rstd: RefArray;
}

const at = (a: RefArray, i: number): number => a.data[i] as number;

function normalise(inputs: Arrays, { y, mean, rstd }: Results, { training, momentum, eps }: Settings): void {
  const { x, weight, bias, runningMean, runningVar } = inputs;
  const channels = mean.data.length;
  const rows = x.data.length / channels;
  for (let c = 0; c < channels; c++) {
    let centre = at(runningMean, c);
    let variance = at(runningVar, c);
    if (training) {
      centre = 0;
      for (let r = 0; r < rows; r++) centre += at(x, r * channels + c) / rows;
      variance = 0;
      for (let r = 0; r < rows; r++) variance += (at(x, r * channels + c) - centre) ** 2 / rows;
      runningMean.data[c] = (1 - momentum) * at(runningMean, c) + momentum * centre;
      runningVar.data[c] = (1 - momentum) * at(runningVar, c) + (momentum * variance * rows) / (rows - 1);
    }
    mean.data[c] = centre;
    rstd.data[c] = 1 / Math.sqrt(variance + eps);
    for (let i = c; i < x.data.length; i += channels)
      y.data[i] = (at(x, i) - centre) * at(rstd, c) * at(weight, c) + at(bias, c);
  }
}

/** NaN passes. */
function clipNegative(y: RefArray): void {
  for (let i = 0; i < y.data.length; i++) if (at(y, i) <= 0) y.data[i] = 0;
}

const kinds = { x: 'diff', weight: 'diff', bias: 'diff', runningMean: 'inout', runningVar: 'inout' } as const;
const perChannel = { weight: 'f32', bias: 'f32', runningMean: 'f32', runningVar: 'f32' } as const;
const outputs = { y: 'diff', mean: 'saved', rstd: 'saved' } as const;
const statistics = { mean: 'f32', rstd: 'f32' } as const;

const settings = (training: boolean, relu?: boolean): Record<string, unknown> => ({
  training,
  momentum: 0.1,
  eps: 1e-5,
  ...(relu === undefined ? {} : { relu }),
});

const layer = (x: Shape): OpCase['inputs'] => {
  const shape = [x[x.length - 1] as number];
  const positive = { shape, draw: 'positive' } as const;
  return { x, weight: positive, bias: shape, runningMean: shape, runningVar: positive };
};

const gradLayer = (x: Shape, added: boolean): OpCase['inputs'] => {
  const shape = [x[x.length - 1] as number];
  return {
    x,
    ...(added ? { y: x } : {}),
    g: x,
    weight: shape,
    bias: shape,
    mean: shape,
    rstd: { shape, draw: 'positive' },
  };
};

const tolerance = { bf16: 2e-2, why: 'two roundings to bf16 lie between the gradient and its inputs' };

export const batchNormOp = defineOp({
  name: 'batchNorm',
  inputs: kinds,
  outputs,
  attrs: { training: 'bool', momentum: 'float', eps: 'float', relu: 'bool' },
  inputTypes: perChannel,
  outputTypes: statistics,
  // Not y: where relu let through is computed once more from x.
  saves: ['x', 'weight', 'bias', 'mean', 'rstd'],
  shapes({ x, ...perChannel }, { training }) {
    const channels = check('batchNorm', x, perChannel, training);
    return { y: x, mean: channels, rstd: channels };
  },
  backward({ saved, attrs: { training, relu }, grads: { y: g } }) {
    const all = once(() => run(batchNormGradOp, { ...saved, g }, { training, relu, added: false }));
    return { x: () => all().dx, weight: () => all().dweight, bias: () => all().dbias };
  },
  reference(inputs, results, attrs) {
    normalise(inputs, results, attrs);
    if (attrs.relu) clipNegative(results.y);
  },
  cases: [
    { inputs: layer([3, 4, 5, 6]), attrs: settings(true, false) },
    { inputs: layer([3, 4, 5, 6]), attrs: settings(true, true) },
    { inputs: layer([3, 4, 5, 6]), attrs: settings(false, false) },
    { inputs: layer([3, 4, 5, 6]), attrs: settings(false, true) },
    { inputs: layer([7, 33]), attrs: settings(true, false) },
    { inputs: layer([2, 3, 3, 67]), attrs: settings(true, true) },
    { inputs: layer([5, 13, 11, 64]), attrs: settings(true, true), grad: false },
    { inputs: layer([300, 72]), attrs: settings(true, true), grad: false },
    { inputs: layer([1, 3]), attrs: settings(false, false) },
    { inputs: layer([0, 3]), attrs: settings(false, true) },
    {
      name: 'a mean far from 0',
      inputs: { ...layer([40, 3]), x: { shape: [40, 3], values: [1000, 1001, 1003, 1002, 1000.5] } },
      attrs: settings(true, false),
      dtypes: ['f32'],
      grad: false,
    },
    {
      name: 'special values',
      inputs: { ...layer([4, 3]), x: { shape: [4, 3], values: [NaN, 1, Infinity, 2, 3, 4, 5] } },
      attrs: settings(false, true),
      grad: false,
    },
    {
      name: 'NaN reaches its own channel only',
      inputs: { ...layer([4, 3]), x: { shape: [4, 3], values: [NaN, 1, 2, 2, 3, 4, 5, 9, 1, 7, 6, 5] } },
      attrs: settings(true, true),
      grad: false,
    },
    {
      inputs: layer([1, 3]),
      attrs: settings(true, false),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'more than one value' },
    },
    { inputs: layer([4]), attrs: settings(true, false), refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'two axes' } },
    {
      inputs: { ...layer([4, 3]), bias: [4] },
      attrs: settings(true, false),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'bias' },
    },
    {
      inputs: { ...layer([4, 3]), runningVar: { shape: [3], dtype: 'bf16' } },
      attrs: settings(true, false),
      refuses: { code: 'ERR_DTYPE', says: 'runningVar' },
    },
    { name: 'bench', inputs: layer([128, 32, 32, 64]), attrs: settings(true, true), bench: true, grad: false },
  ],
  tolerance,
});

export const batchNormAddReluOp = defineOp({
  name: 'batchNormAddRelu',
  inputs: { ...kinds, add: 'diff' },
  outputs,
  attrs: { training: 'bool', momentum: 'float', eps: 'float' },
  inputTypes: perChannel,
  outputTypes: statistics,
  saves: ['x', 'weight', 'bias', 'mean', 'rstd', 'y'],
  shapes({ x, add, ...perChannel }, { training }) {
    const channels = check('batchNormAddRelu', x, perChannel, training);
    needShape('batchNormAddRelu', 'add', add, x);
    return { y: x, mean: channels, rstd: channels };
  },
  backward({ saved, attrs: { training }, grads: { y: g } }) {
    const all = once(() => run(batchNormGradOp, { ...saved, g }, { training, relu: true, added: true }));
    return {
      x: () => all().dx,
      weight: () => all().dweight,
      bias: () => all().dbias,
      add: () => all().dadd as Tensor,
    };
  },
  reference({ add, ...inputs }, results, attrs) {
    normalise(inputs, results, attrs);
    for (let i = 0; i < add.data.length; i++) results.y.data[i] = at(results.y, i) + at(add, i);
    clipNegative(results.y);
  },
  cases: [
    { inputs: { ...layer([3, 4, 5, 6]), add: [3, 4, 5, 6] }, attrs: settings(true) },
    { inputs: { ...layer([3, 4, 5, 6]), add: [3, 4, 5, 6] }, attrs: settings(false) },
    { inputs: { ...layer([2, 3, 3, 67]), add: [2, 3, 3, 67] }, attrs: settings(true) },
    { inputs: { ...layer([5, 13, 11, 64]), add: [5, 13, 11, 64] }, attrs: settings(true), grad: false },
    { inputs: { ...layer([300, 72]), add: [300, 72] }, attrs: settings(true), grad: false },
    {
      name: 'special values',
      inputs: { ...layer([4, 3]), add: { shape: [4, 3], values: [NaN, 1, Infinity, -Infinity, 3, 4, 5] } },
      attrs: settings(true),
      grad: false,
    },
    {
      inputs: { ...layer([4, 3]), add: [4, 2] },
      attrs: settings(true),
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'add' },
    },
    {
      name: 'bench',
      inputs: { ...layer([128, 32, 32, 64]), add: [128, 32, 32, 64] },
      attrs: settings(true),
      bench: true,
      grad: false,
    },
  ],
  tolerance,
});

/** All gradients in two passes over the data. `y` is there where the mask of relu cannot be found from `x` alone. */
export const batchNormGradOp = defineOp({
  name: 'batchNormGrad',
  inputs: {
    x: 'const',
    y: 'const?',
    g: 'const',
    weight: 'const',
    bias: 'const',
    mean: 'const',
    rstd: 'const',
  },
  outputs: { dx: 'const', dweight: 'const', dbias: 'const', dadd: 'const?' },
  attrs: { training: 'bool', relu: 'bool', added: 'bool' },
  inputTypes: { weight: 'f32', bias: 'f32', mean: 'f32', rstd: 'f32' },
  outputTypes: { dweight: 'f32', dbias: 'f32' },
  shapes({ x, y, g, ...perChannel }, { training, added }) {
    const channels = check('batchNormGrad', x, perChannel, training);
    needShape('batchNormGrad', 'g', g, x);
    needShape('batchNormGrad', 'y', y, x);
    if (added && y === undefined) throw shapeError('batchNormGrad', 'no y', 'y, where something was added before relu');
    return { dx: x, dweight: channels, dbias: channels, dadd: added ? x : null };
  },
  reference({ x, y, g, weight, bias, mean, rstd }, { dx, dweight, dbias, dadd }, { training, relu }) {
    const channels = mean.data.length;
    const rows = x.data.length / channels;
    const normal = (i: number): number => (at(x, i) - at(mean, i % channels)) * at(rstd, i % channels);
    const masked = (i: number): number => {
      const c = i % channels;
      const out = y === undefined ? normal(i) * at(weight, c) + at(bias, c) : at(y, i);
      return relu && out <= 0 ? 0 : at(g, i);
    };
    for (let i = 0; i < x.data.length; i++) {
      const c = i % channels;
      dbias.data[c] = at(dbias, c) + masked(i);
      dweight.data[c] = at(dweight, c) + masked(i) * normal(i);
    }
    for (let i = 0; i < x.data.length; i++) {
      const c = i % channels;
      const through = training ? (at(dbias, c) + normal(i) * at(dweight, c)) / rows : 0;
      dx.data[i] = at(weight, c) * at(rstd, c) * (masked(i) - through);
      if (dadd !== undefined) dadd.data[i] = masked(i);
    }
  },
  cases: [
    ...[false, true].flatMap((training) =>
      [false, true].map((added) => ({
        inputs: gradLayer([2, 5, 3, 19], added),
        attrs: { training, relu: true, added },
      })),
    ),
    ...[false, true].map((added) => ({
      inputs: gradLayer([300, 72], added),
      attrs: { training: true, relu: true, added },
    })),
    { inputs: gradLayer([300, 72], false), attrs: { training: true, relu: false, added: false } },
    {
      name: 'bench',
      inputs: gradLayer([128, 32, 32, 64], false),
      attrs: { training: true, relu: true, added: false },
      bench: true,
    },
  ],
  tolerance,
});

function once<R>(make: () => R): () => R {
  let made: R | undefined;
  return () => (made ??= make());
}

const known = ['training', 'momentum', 'eps'];

/**
 * Batch normalisation over all axes but the last: `y = weight (x - mean) / sqrt(variance + eps) + bias`.
 *
 * `x [..., C]` in f32 or bf16; `weight`, `bias`, `runningMean`, `runningVar` are `[C]` in f32. In training, mean and
 * (biased) variance are those of the batch, and the running statistics are overwritten:
 * `running <- (1 - momentum) running + momentum batch`, with the unbiased variance; else the running statistics are used
 * and stay as they are. A gradient for `x`, `weight` and `bias`; in training also through mean and variance. PyTorch's
 * `batch_norm`; Ioffe & Szegedy 2015.
 *
 * @throws ERR_SHAPE_MISMATCH when a channel vector does not fit, or training sees one value a channel
 */
export function batchNorm(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  runningMean: Tensor,
  runningVar: Tensor,
  options: BatchNormOptions = {},
): Tensor {
  checkOptions('batchNorm', options, known);
  const { training = true, momentum = 0.1, eps = 1e-5 } = options;
  const inputs = { x, weight, bias, runningMean, runningVar };
  return run(batchNormOp, inputs, { training, momentum, eps, relu: false }).y;
}

/**
 * `y = relu(batchNorm(x) + add)` in one pass; `add` (shape of `x`) may be absent. Otherwise as `batchNorm`; a gradient
 * for `add` too. NaN stays NaN, the gradient of relu at 0 is 0.
 *
 * @throws ERR_SHAPE_MISMATCH as `batchNorm`, and when `add` has not the shape of `x`
 */
export function batchNormRelu(
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  runningMean: Tensor,
  runningVar: Tensor,
  options: BatchNormReluOptions = {},
): Tensor {
  checkOptions('batchNormRelu', options, [...known, 'add']);
  const { training = true, momentum = 0.1, eps = 1e-5, add } = options;
  const inputs = { x, weight, bias, runningMean, runningVar };
  return add === undefined
    ? run(batchNormOp, inputs, { training, momentum, eps, relu: true }).y
    : run(batchNormAddReluOp, { ...inputs, add }, { training, momentum, eps }).y;
}
