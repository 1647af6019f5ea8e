// What the kernel bench runs: each piece of work has a floor, the bytes an element that must cross the memory bus
// however the kernel is written, and once `made` can be called any number of times.
import { noGrad } from '../lib/autograd/tape.js';
import { cast, copy_, pdpWeight, randn, tensor, threshold, thresholdRow, zeros } from '../lib/index.js';
import type { AnyInputs } from '../lib/core/checkInputs.js';
import type { AnyOp } from '../lib/core/op.js';
import { runAny } from '../lib/core/run.js';
import type { Tensor } from '../lib/core/tensor.js';
import { adamOp } from '../lib/ops/adam.js';
import { batchNormGradOp, batchNormOp } from '../lib/ops/batchNorm.js';
import { crossEntropyGradOp, crossEntropyOp } from '../lib/ops/crossEntropy.js';
import { layerNormGradOp, layerNormOp } from '../lib/ops/layerNorm.js';
import { nmHardMaskOp, nmSoftWeightGradOp, nmSoftWeightOp } from '../lib/ops/nmMask.js';
import { pdpAdamStepOp, pdpSgdStepOp } from '../lib/ops/pdpStep.js';
import { pdpWeightGradOp } from '../lib/ops/pdpWeight.js';
import { sgdOp } from '../lib/ops/sgd.js';

export interface Work {
  readonly name: string;
  readonly elements: number;
  /** Bytes an element that any kernel must move. */
  readonly floorBytes: number;
  /** Prepares the inputs on the GPU and gives the call that is counted or timed. */
  readonly make: () => () => void;
}

const n = 1 << 20;
const tau = 1e-4;

const normal = (shape: readonly number[], dtype: 'f32' | 'bf16' = 'f32'): Tensor => {
  const x = randn(shape, { device: 'cuda' });
  return dtype === 'f32' ? x : cast(x, dtype);
};

const op = (spec: unknown, inputs: AnyInputs, attrs: Record<string, unknown>, scalars = {}): (() => void) => {
  return () => void noGrad(() => runAny(spec as AnyOp, inputs, attrs, { scalars: scalars as never }));
};

function thresholdWork(shapes: readonly number[]): () => () => void {
  return () => {
    const weights = shapes.map((size) => normal([size]));
    const counts = shapes.map((size) => Math.floor(0.9 * size));
    const state = zeros([shapes.length, 2], { dtype: 'i32', device: 'cuda' });
    // From the second call on the last thresholds are known: the case of training.
    threshold(weights, counts, state);
    return () => void threshold(weights, counts, state);
  };
}

function masked(): { w: Tensor; levels: Tensor; counts: Tensor } {
  const w = normal([n]);
  return { w, ...threshold([w], [Math.floor(0.9 * n)]) };
}

const pdpForward = (dtype: 'f32' | 'bf16') => (): (() => void) => {
  const { w, ...found } = masked();
  const row = thresholdRow(found, 0);
  return () => void noGrad(() => pdpWeight(w, row, { tau, dtype }));
};
const pdpBackward = (dtype: 'f32' | 'bf16') => (): (() => void) =>
  op(pdpWeightGradOp, { ...masked(), g: normal([n], dtype) }, { throughThreshold: false }, { layer: 0, tau });

const optimizer =
  (spec: unknown, slots: readonly string[], attrs: Record<string, unknown>, scalars: Record<string, unknown>) =>
  (): (() => void) => {
    const state = Object.fromEntries(slots.map((slot) => [slot, [zeros([n], { device: 'cuda' })]]));
    return op(spec, { w: [normal([n])], g: [normal([n])], ...state }, attrs, scalars);
  };

// A step with PDP's mask in it, gradients and effective weights in bf16; the last thresholds are known, as in training.
const foldedStep =
  (spec: unknown, slots: readonly string[], attrs: Record<string, unknown>, scalars: Record<string, unknown>) =>
  (): (() => void) => {
    const w = [normal([n])];
    const k = [Math.floor(0.9 * n)];
    const thresholds = { state: zeros([1, 2], { dtype: 'i32', device: 'cuda' }) };
    const found = threshold(w, k, thresholds.state);
    const lists = { w, g: [normal([n], 'bf16')], y: [normal([n], 'bf16')] };
    const state = Object.fromEntries(slots.map((slot) => [slot, [zeros([n], { device: 'cuda' })]]));
    return op(spec, { ...lists, ...state, ...found, ...thresholds }, attrs, { ...scalars, tau, k });
  };

const rows = 4096;
const columns = n / rows;

function layerNormInputs(): Record<string, Tensor> {
  return { x: normal([rows, columns], 'bf16'), weight: normal([columns]), bias: normal([columns]) };
}
function batchNormInputs(): Record<string, Tensor> {
  const [weight, bias, runningMean] = [normal([64]), normal([64]), normal([64])];
  return { x: normal([n / 64, 64], 'bf16'), weight, bias, runningMean, runningVar: normal([64]) };
}
const batchNormAttrs = { training: true, momentum: 0.1, eps: 1e-5, relu: true };

function outputsOf(
  forward: unknown,
  inputs: Record<string, Tensor>,
  attrs: Record<string, unknown>,
): (Tensor | undefined)[] {
  const out = noGrad(() => runAny(forward as AnyOp, inputs, attrs));
  return (forward as AnyOp).plan.outputs.map(({ name }) => out[name]);
}

function layerNormBackward(): () => void {
  const inputs = layerNormInputs();
  const outputs = outputsOf(layerNormOp, inputs, { eps: 1e-5 });
  return gradientCall(layerNormGradOp, inputs, layerNormOp, outputs, { eps: 1e-5 });
}

function batchNormBackward(): () => void {
  const inputs = batchNormInputs();
  const outputs = outputsOf(batchNormOp, inputs, batchNormAttrs);
  return gradientCall(batchNormGradOp, inputs, batchNormOp, outputs, batchNormAttrs);
}

const classes = 1024;
const target = (): Tensor =>
  tensor(
    Int32Array.from({ length: n / classes }, (_, i) => (i * 7) % classes),
    { device: 'cuda' },
  );
const crossEntropyAttrs = { labelSmoothing: 0, ignoreIndex: -100, reduction: 'mean' };

function crossEntropyBackward(): () => void {
  const inputs = { x: normal([n / classes, classes], 'bf16'), target: target() };
  const outputs = outputsOf(crossEntropyOp, inputs, crossEntropyAttrs);
  return gradientCall(crossEntropyGradOp, inputs, crossEntropyOp, outputs, crossEntropyAttrs);
}

/**
 * Inputs of a gradient op by name: those of the forward op, what it saves of its outputs, and `g`, a gradient like the
 * first of them.
 */
function gradientCall(
  spec: unknown,
  inputs: Record<string, Tensor>,
  forward: unknown,
  outputs: readonly (Tensor | undefined)[],
  attrs: Record<string, unknown>,
): () => void {
  const { plan, saves } = forward as AnyOp;
  const saved = Object.fromEntries(
    plan.outputs.map(({ name }, i) => [name, saves.includes(name) ? outputs[i] : undefined]),
  );
  const first = outputs[0] as Tensor;
  const all: Record<string, Tensor | undefined> = { ...inputs, ...saved, g: normal(first.shape, first.dtype as 'f32') };
  const wanted = (spec as AnyOp).plan;
  const given = Object.fromEntries(wanted.inputs.map(({ name }) => [name, all[name]]));
  const own = Object.fromEntries(wanted.attrs.map(({ name }) => [name, attrs[name]]));
  return op(spec, given, own);
}

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
  {
    name: 'SGD with momentum',
    elements: n,
    floorBytes: 20,
    make: optimizer(sgdOp, ['v'], { nesterov: false }, { lr: 0.1, momentum: 0.9, weightDecay: 1e-4 }),
  },
  {
    name: 'AdamW',
    elements: n,
    floorBytes: 28,
    make: optimizer(
      adamOp,
      ['m', 'v'],
      { decoupled: true },
      { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step: [1] },
    ),
  },
  {
    name: 'SGD with momentum and PDP in one launch, bf16',
    elements: n,
    floorBytes: 20,
    make: foldedStep(pdpSgdStepOp, ['v'], { nesterov: false }, { lr: 1e-4, momentum: 0.9, weightDecay: 1e-4 }),
  },
  {
    name: 'AdamW and PDP in one launch, bf16',
    elements: n,
    floorBytes: 28,
    make: foldedStep(
      pdpAdamStepOp,
      ['m', 'v'],
      { decoupled: true },
      { lr: 1e-6, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step: [1] },
    ),
  },
  ...[
    [1, 4],
    [2, 4],
    [2, 8],
    [4, 8],
  ].flatMap(([keep, of]): Work[] => [
    {
      name: `${keep}:${of} soft mask, f32 to bf16`,
      elements: n,
      floorBytes: 6,
      make: () => op(nmSoftWeightOp, { w: normal([rows, columns]) }, { n: keep, m: of, dtype: 'bf16' }, { tau }),
    },
    {
      name: `${keep}:${of} soft mask backward, bf16`,
      elements: n,
      floorBytes: 10,
      make: () =>
        op(
          nmSoftWeightGradOp,
          { w: normal([rows, columns]), g: normal([rows, columns], 'bf16') },
          { n: keep, m: of },
          { tau },
        ),
    },
    {
      name: `${keep}:${of} hard mask`,
      elements: n,
      floorBytes: 8,
      make: () => op(nmHardMaskOp, { w: normal([rows, columns]) }, { n: keep, m: of }),
    },
  ]),
  {
    name: 'batch norm + ReLU, bf16',
    elements: n,
    floorBytes: 6,
    make: () => op(batchNormOp, batchNormInputs(), batchNormAttrs),
  },
  { name: 'batch norm + ReLU backward, bf16', elements: n, floorBytes: 10, make: batchNormBackward },
  {
    name: 'layer norm, bf16',
    elements: n,
    floorBytes: 4,
    make: () => op(layerNormOp, layerNormInputs(), { eps: 1e-5 }),
  },
  { name: 'layer norm backward, bf16', elements: n, floorBytes: 6, make: layerNormBackward },
  {
    name: 'cross-entropy, bf16',
    elements: n,
    floorBytes: 2,
    make: () => op(crossEntropyOp, { x: normal([n / classes, classes], 'bf16'), target: target() }, crossEntropyAttrs),
  },
  { name: 'cross-entropy backward, bf16', elements: n, floorBytes: 4, make: crossEntropyBackward },
  {
    name: 'copy, f32',
    elements: n,
    floorBytes: 8,
    make: () => {
      const [from, into] = [normal([n]), normal([n])];
      return () => void copy_(into, from);
    },
  },
];
