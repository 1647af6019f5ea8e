// What the kernel bench runs: each piece of work has a floor, the bytes an element that must cross the memory bus
// however the kernel is written, and once `made` can be called any number of times.
import { noGrad } from '../lib/autograd/tape.js';
import { copy_, pdpGradNorm, pdpWeight, tensor, threshold, thresholdRow, zeros } from '../lib/index.js';
import type { Tensor } from '../lib/core/tensor.js';
import { adamOp } from '../lib/ops/adam.js';
import { batchNormGradOp, batchNormOp } from '../lib/ops/batchNorm.js';
import { crossEntropyGradOp, crossEntropyOp } from '../lib/ops/crossEntropy.js';
import { layerNormGradOp, layerNormOp } from '../lib/ops/layerNorm.js';
import { nmHardMaskOp, nmSoftWeightGradOp, nmSoftWeightOp } from '../lib/ops/nmMask.js';
import { pdpAdamStepOp, pdpSgdStepOp } from '../lib/ops/pdpStep.js';
import { pdpWeightGradOp } from '../lib/ops/pdpWeight.js';
import { sgdOp } from '../lib/ops/sgd.js';
import { type Work, gradientCall, n, normal, op } from './callWork.js';
import { productWork } from './productWork.js';

const tau = 1e-4;

function thresholdWork(shapes: readonly number[]): Work['make'] {
  return (scale) => {
    const sizes = shapes.map((size) => scale * size);
    const weights = sizes.map((size) => normal([size]));
    const counts = sizes.map((size) => Math.floor(0.9 * size));
    const state = zeros([shapes.length, 2], { dtype: 'i32', device: 'cuda' });
    // From the second call on the last thresholds are known: the case of training.
    threshold(weights, counts, state);
    return () => void threshold(weights, counts, state);
  };
}

function masked(size: number): { w: Tensor; levels: Tensor; counts: Tensor } {
  const w = normal([size]);
  return { w, ...threshold([w], [Math.floor(0.9 * size)]) };
}

const pdpForward =
  (dtype: 'f32' | 'bf16'): Work['make'] =>
  (scale) => {
    const { w, ...found } = masked(scale * n);
    const row = thresholdRow(found, 0);
    return () => void noGrad(() => pdpWeight(w, row, { tau, dtype }));
  };
const pdpBackward =
  (dtype: 'f32' | 'bf16'): Work['make'] =>
  (scale) =>
    op(
      pdpWeightGradOp,
      { ...masked(scale * n), g: normal([scale * n], dtype) },
      { throughThreshold: false },
      { layer: 0, tau },
    );

const sgd = { attrs: { nesterov: false }, scalars: { lr: 1e-4, momentum: 0.9, weightDecay: 1e-4 } };
const adam = {
  attrs: { decoupled: true },
  scalars: { lr: 1e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
};

const slotsOf = (slots: readonly string[], sizes: readonly number[]): Record<string, Tensor[]> =>
  Object.fromEntries(slots.map((slot) => [slot, sizes.map((size) => zeros([size], { device: 'cuda' }))]));

const optimizer =
  (spec: unknown, slots: readonly string[], { attrs, scalars }: typeof sgd | typeof adam): Work['make'] =>
  (scale) => {
    const size = scale * n;
    const step = spec === adamOp ? { step: [1] } : {};
    const lists = { w: [normal([size])], g: [normal([size])], ...slotsOf(slots, [size]) };
    return op(spec, lists, attrs, { ...scalars, ...step });
  };

// A step with PDP's mask in it, gradients and effective weights in bf16; the last thresholds are known, as in training.
// In layers of 2^20 weights, which lie in the L2 when they are looked at again, or in one.
interface Folded {
  readonly whole?: boolean;
  readonly clipped?: boolean;
}
const foldedStep =
  (spec: unknown, slots: readonly string[], { attrs, scalars }: typeof sgd | typeof adam, kind: Folded): Work['make'] =>
  (scale) => {
    const sizes = kind.whole === true ? [scale * n] : Array.from({ length: scale }, () => n);
    const w = sizes.map((size) => normal([size]));
    const k = sizes.map((size) => Math.floor(0.9 * size));
    const state = zeros([sizes.length, 2], { dtype: 'i32', device: 'cuda' });
    const found = threshold(w, k, state);
    const g = sizes.map((size) => normal([size], 'bf16'));
    const lists = { w, g, y: sizes.map((size) => normal([size], 'bf16')), ...slotsOf(slots, sizes) };
    const step = spec === pdpAdamStepOp ? { step: sizes.map(() => 1) } : {};
    const grads = w.map((weight, layer) => ({ weight, grad: g[layer] as Tensor, layer }));
    return () => {
      const norm = kind.clipped === true ? pdpGradNorm(grads, found, tau) : undefined;
      const inputs = { ...lists, ...found, state, norm };
      op(spec, inputs, attrs, { ...scalars, ...step, tau, k, maxNorm: norm === undefined ? Infinity : 1 })();
    };
  };

/** A folded step in its three cases; `floorBytes` is that of the first. */
function folds(name: string, floorBytes: number, make: (kind: Folded) => Work['make']): Work[] {
  return [
    { name: `${name} in one launch, bf16`, elements: n, floorBytes, make: make({}) },
    // At scale 1 a layer is 4 MiB; so the cache is made smaller.
    {
      name: `${name}, a layer larger than the L2`,
      elements: n,
      floorBytes: floorBytes + 4,
      make: make({ whole: true }),
      cacheBytes: 1 << 21,
    },
    {
      name: `${name}, clipped by the global norm`,
      elements: n,
      floorBytes: floorBytes + 6,
      make: make({ clipped: true }),
    },
  ];
}

const rows = 4096;
const columns = n / rows;

function layerNormInputs(scale: number): Record<string, Tensor> {
  return { x: normal([scale * rows, columns], 'bf16'), weight: normal([columns]), bias: normal([columns]) };
}
function batchNormInputs(scale: number): Record<string, Tensor> {
  const [weight, bias, runningMean] = [normal([64]), normal([64]), normal([64])];
  return { x: normal([(scale * n) / 64, 64], 'bf16'), weight, bias, runningMean, runningVar: normal([64]) };
}
const batchNormAttrs = { training: true, momentum: 0.1, eps: 1e-5, relu: true };

const classes = 1024;
function logits(scale: number): Record<string, Tensor> {
  const length = (scale * n) / classes;
  const target = tensor(
    Int32Array.from({ length }, (_, i) => (i * 7) % classes),
    { device: 'cuda' },
  );
  return { x: normal([length, classes], 'bf16'), target };
}
const crossEntropyAttrs = { labelSmoothing: 0, ignoreIndex: -100, reduction: 'mean' };

const resnet50Layers = [
  64 * 3 * 49,
  ...[64, 128, 256, 512].flatMap((width, stage) =>
    Array.from({ length: [3, 4, 6, 3][stage] as number }, (_, block) => {
      const into = block > 0 ? 4 * width : stage === 0 ? 64 : 2 * width;
      return [into * width, 9 * width * width, 4 * width * width, ...(block === 0 ? [4 * into * width] : [])];
    }).flat(),
  ),
  2048 * 1000,
];

function maskWork(keep: number, of: number): Work[] {
  const matrix = (scale: number, dtype: 'f32' | 'bf16' = 'f32'): Tensor => normal([scale * rows, columns], dtype);
  const attrs = { n: keep, m: of };
  return [
    {
      name: `${keep}:${of} soft mask, f32 to bf16`,
      elements: n,
      floorBytes: 6,
      make: (scale) => op(nmSoftWeightOp, { w: matrix(scale) }, { ...attrs, dtype: 'bf16' }, { tau }),
    },
    {
      name: `${keep}:${of} soft mask backward, bf16`,
      elements: n,
      floorBytes: 10,
      make: (scale) => op(nmSoftWeightGradOp, { w: matrix(scale), g: matrix(scale, 'bf16') }, attrs, { tau }),
    },
    {
      name: `${keep}:${of} hard mask`,
      elements: n,
      floorBytes: 8,
      make: (scale) => op(nmHardMaskOp, { w: matrix(scale) }, attrs),
    },
  ];
}

export const work: readonly Work[] = [
  { name: 'threshold, warm', elements: n, floorBytes: 4, make: thresholdWork([n]) },
  {
    name: `thresholds of ResNet-50's ${resnet50Layers.length} layers at a hundredth of their size`,
    elements: resnet50Layers.reduce((sum, size) => sum + Math.ceil(size / 100), 0),
    floorBytes: 4,
    make: thresholdWork(resnet50Layers.map((size) => Math.ceil(size / 100))),
  },
  { name: 'PDP mask forward, f32 to f32', elements: n, floorBytes: 8, make: pdpForward('f32') },
  { name: 'PDP mask forward, f32 to bf16', elements: n, floorBytes: 6, make: pdpForward('bf16') },
  { name: 'PDP mask backward, f32', elements: n, floorBytes: 12, make: pdpBackward('f32') },
  { name: 'PDP mask backward, bf16', elements: n, floorBytes: 10, make: pdpBackward('bf16') },
  { name: 'SGD with momentum', elements: n, floorBytes: 20, make: optimizer(sgdOp, ['v'], sgd) },
  { name: 'AdamW', elements: n, floorBytes: 28, make: optimizer(adamOp, ['m', 'v'], adam) },
  ...folds('SGD with momentum and PDP', 20, (kind) => foldedStep(pdpSgdStepOp, ['v'], sgd, kind)),
  ...folds('AdamW and PDP', 28, (kind) => foldedStep(pdpAdamStepOp, ['m', 'v'], adam, kind)),
  ...[
    [1, 4],
    [2, 4],
    [2, 8],
    [4, 8],
  ].flatMap(([keep, of]) => maskWork(keep as number, of as number)),
  {
    name: 'batch norm + ReLU, bf16',
    elements: n,
    floorBytes: 6,
    make: (scale) => op(batchNormOp, batchNormInputs(scale), batchNormAttrs),
  },
  {
    name: 'batch norm + ReLU backward, bf16',
    elements: n,
    floorBytes: 10,
    make: (scale) => gradientCall(batchNormGradOp, batchNormOp, batchNormInputs(scale), batchNormAttrs),
  },
  {
    name: 'layer norm, bf16',
    elements: n,
    floorBytes: 4,
    make: (scale) => op(layerNormOp, layerNormInputs(scale), { eps: 1e-5 }),
  },
  {
    name: 'layer norm backward, bf16',
    elements: n,
    floorBytes: 6,
    make: (scale) => gradientCall(layerNormGradOp, layerNormOp, layerNormInputs(scale), { eps: 1e-5 }),
  },
  {
    name: 'cross-entropy, bf16',
    elements: n,
    floorBytes: 2,
    make: (scale) => op(crossEntropyOp, logits(scale), crossEntropyAttrs),
  },
  {
    name: 'cross-entropy backward, bf16',
    elements: n,
    floorBytes: 4,
    make: (scale) => gradientCall(crossEntropyGradOp, crossEntropyOp, logits(scale), crossEntropyAttrs),
  },
  ...productWork,
  {
    name: 'copy, f32',
    elements: n,
    floorBytes: 8,
    make: (scale) => {
      const [from, into] = [normal([scale * n]), normal([scale * n])];
      return () => void copy_(into, from);
    },
  },
];
