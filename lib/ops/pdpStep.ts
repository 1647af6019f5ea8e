import { defineOp, type CaseInput, type RefArray } from '../core/op.js';
import type { RandomState } from '../core/random.js';
import { run } from '../core/run.js';
import { sameShape, shapeError, showShape, type Shape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type AdamStepOptions, adamOp } from './adam.js';
import { type Clip, clipGradsOp } from './gradNorm.js';
import { checkLists, checkMaxNorm } from './parameterLists.js';
import { pdpWeightGradOp, pdpWeightOp } from './pdpWeight.js';
import { type SgdStepOptions, sgdOp } from './sgd.js';
import { checkTau } from './softMask.js';
import { checkCounts, thresholdOp, type Thresholds } from './threshold.js';

const noRandom: RandomState = { seed: 0, position: 0 };

// What both ops take beside the lists of their optimizer.
interface Masked {
  readonly w: readonly RefArray[];
  readonly g: readonly RefArray[];
  readonly y: readonly RefArray[];
  readonly levels: RefArray;
  readonly counts: RefArray;
  readonly norm: RefArray | undefined;
}

interface MaskedShapes {
  readonly w: readonly Shape[];
  readonly levels: Shape;
  readonly counts: Shape;
  readonly state: Shape | undefined;
  readonly norm: Shape | undefined;
}

function checkStep(op: string, { w, levels, counts, state, norm }: MaskedShapes, k: readonly number[]): void {
  checkCounts(op, w, k);
  const need = { levels: [w.length, 3], counts: [w.length, 2], state: [w.length, 2], norm: [] };
  for (const [name, got] of Object.entries({ levels, counts, state, norm })) {
    const shape = need[name as keyof typeof need];
    if (got !== undefined && !sameShape(got, shape))
      throw shapeError(op, `${name} of shape ${showShape(got)}`, showShape(shape));
  }
}

/**
 * The unfused sequence: gradients through the mask, clipping where there is a norm, `update` with them, the next
 * thresholds, the next effective weights.
 */
function unfused(
  { w, g, y, levels, counts, norm }: Masked,
  { tau, k, maxNorm }: { tau: number; k: readonly number[]; maxNorm: number },
  update: (dw: RefArray[]) => void,
): void {
  const dw = w.map(({ data, shape }): RefArray => ({ data: new Float64Array(data.length), shape, dtype: 'f32' }));
  w.forEach((weight, layer) => {
    const inputs = { w: weight, g: g[layer] as RefArray, levels, counts };
    pdpWeightGradOp.reference(
      inputs,
      { dw: dw[layer] as RefArray },
      { throughThreshold: false },
      { layer, tau },
      noRandom,
    );
  });
  if (norm !== undefined) clipGradsOp.reference({ norm, g: dw }, {}, {}, { maxNorm }, noRandom);
  update(dw);
  thresholdOp.reference({ w, state: undefined }, { levels, counts }, {}, { k }, noRandom);
  w.forEach((weight, layer) => {
    const attrs = { dtype: 'f32', throughThreshold: false } as const;
    pdpWeightOp.reference({ w: weight, levels, counts }, { y: y[layer] as RefArray }, attrs, { layer, tau }, noRandom);
  });
}

// In the first layer nothing was pruned so far; t = 0.5 in the others.
const rows = (layers: number): { levels: CaseInput; counts: CaseInput } => ({
  levels: {
    shape: [layers, 3],
    values: [NaN, NaN, NaN, ...Array.from({ length: layers - 1 }, () => [0.25, 0.75, 0.5]).flat()],
  },
  counts: { shape: [layers, 2], values: [0, 0, ...Array.from({ length: layers - 1 }, () => [5, 1]).flat()] },
});
const lists = (names: readonly string[], shapes: readonly Shape[]): Record<string, readonly Shape[]> =>
  Object.fromEntries(names.map((name) => [name, shapes]));
const small: readonly Shape[] = [[33], [40, 17], [], [0], [9]];
const large: readonly Shape[] = [[7], [300_001]];
const special = (names: readonly string[]): Record<string, readonly CaseInput[]> =>
  Object.fromEntries(
    names.map((name) => [
      name,
      [
        { shape: [3], values: [1, 2, 3] },
        {
          shape: [6],
          values: name === 'w' ? [1, NaN, 3, Infinity, -0, 0.5] : name === 'g' ? [NaN, 1, 2, 1, 0, 1e-40] : [0.5],
        },
      ],
    ]),
  );

export const pdpSgdStepOp = defineOp({
  name: 'pdpSgdStep',
  inputs: {
    w: 'inout[]',
    g: 'const[]',
    v: 'inout[]',
    y: 'inout[]',
    levels: 'inout',
    counts: 'inout',
    state: 'inout?',
    norm: 'const?',
  },
  outputs: {},
  attrs: { nesterov: 'bool' },
  scalars: { lr: 'float', momentum: 'float', weightDecay: 'float', tau: 'float', maxNorm: 'float', k: 'ints' },
  inputTypes: { w: 'f32', v: 'f32', levels: 'f32', counts: 'i32', state: 'i32', norm: 'f32' },
  shapes({ w, g, v, y, levels, counts, state, norm }, _, { k }) {
    checkLists('pdpSgdStep', w, { g, v, y }, ['v']);
    checkStep('pdpSgdStep', { w, levels, counts, state, norm }, k);
    return {};
  },
  reference(inputs, _, attrs, { lr, momentum, weightDecay, ...masking }) {
    const { w, v } = inputs;
    unfused(inputs, masking, (g) => sgdOp.reference({ w, g, v }, {}, attrs, { lr, momentum, weightDecay }, noRandom));
  },
  cases: [
    {
      name: 'plain',
      inputs: { ...lists(['w', 'g', 'y'], small), v: [], ...rows(5) },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0, tau: 0.5, maxNorm: Infinity, k: [10, 600, 1, 0, 0] },
    },
    {
      name: 'momentum and decay',
      inputs: { ...lists(['w', 'g', 'v', 'y'], small), ...rows(5) },
      attrs: { nesterov: false },
      scalars: { lr: 0.05, momentum: 0.9, weightDecay: 0.01, tau: 0.5, maxNorm: Infinity, k: [0, 340, 0, 0, 9] },
    },
    {
      name: 'nesterov, a large layer',
      inputs: { ...lists(['w', 'g', 'v', 'y'], large), ...rows(2) },
      attrs: { nesterov: true },
      scalars: { lr: 0.05, momentum: 0.9, weightDecay: 0.01, tau: 0.5, maxNorm: Infinity, k: [3, 270_000] },
    },
    {
      name: 'special values',
      inputs: { ...special(['w', 'g', 'v', 'y']), ...rows(2) },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0.5, weightDecay: 0, tau: 0.5, maxNorm: Infinity, k: [1, 3] },
    },
    {
      name: 'clipped',
      inputs: { ...lists(['w', 'g', 'v', 'y'], small), ...rows(5), norm: { shape: [], values: [4] } },
      attrs: { nesterov: false },
      scalars: { lr: 0.05, momentum: 0.9, weightDecay: 0.01, tau: 0.5, maxNorm: 1, k: [0, 340, 0, 0, 9] },
    },
    {
      name: 'a norm within bounds',
      inputs: { ...lists(['w', 'g', 'y'], small), v: [], ...rows(5), norm: { shape: [], values: [0.5] } },
      attrs: { nesterov: false },
      scalars: { lr: 0.05, momentum: 0, weightDecay: 0.01, tau: 0.5, maxNorm: 1, k: [0, 340, 0, 0, 9] },
    },
    {
      name: 'a norm that is NaN',
      inputs: { ...lists(['w', 'g', 'y'], [[3]]), v: [], ...rows(1), norm: { shape: [], values: [NaN] } },
      attrs: { nesterov: false },
      scalars: { lr: 0.05, momentum: 0, weightDecay: 0, tau: 0.5, maxNorm: 1, k: [1] },
    },
    {
      name: 'no parameters',
      inputs: { w: [], g: [], v: [], y: [], levels: [0, 3], counts: [0, 2] },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0, tau: 1, maxNorm: Infinity, k: [] },
    },
    {
      inputs: { ...lists(['w', 'g', 'y'], [[3]]), v: [], ...rows(2) },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0, tau: 1, maxNorm: Infinity, k: [1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'levels of shape [2, 3]' },
    },
    {
      inputs: { ...lists(['w', 'g', 'y'], [[3]]), v: [], ...rows(1) },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0, weightDecay: 0, tau: 1, maxNorm: Infinity, k: [4] },
      refuses: { code: 'ERR_ARGUMENT', says: 'from 0 to 3' },
    },
    {
      name: 'bench',
      inputs: { ...lists(['w', 'g', 'v', 'y'], [[3], [1 << 22]]), ...rows(2) },
      attrs: { nesterov: false },
      scalars: { lr: 0.1, momentum: 0.9, weightDecay: 1e-4, tau: 0.1, maxNorm: Infinity, k: [1, 3_774_873] },
      bench: true,
    },
  ],
  cost: ({ w, v }) => {
    const n = w.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 44 * n, bytes: (v.length > 0 ? 24 : 16) * n };
  },
});

const usual = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, tau: 0.5, maxNorm: Infinity };
const positive = (shapes: readonly Shape[]): CaseInput[] => shapes.map((shape) => ({ shape, draw: 'positive' }));

export const pdpAdamStepOp = defineOp({
  name: 'pdpAdamStep',
  inputs: {
    w: 'inout[]',
    g: 'const[]',
    m: 'inout[]',
    v: 'inout[]',
    y: 'inout[]',
    levels: 'inout',
    counts: 'inout',
    state: 'inout?',
    norm: 'const?',
  },
  outputs: {},
  attrs: { decoupled: 'bool' },
  scalars: {
    lr: 'float',
    beta1: 'float',
    beta2: 'float',
    eps: 'float',
    weightDecay: 'float',
    tau: 'float',
    maxNorm: 'float',
    step: 'ints',
    k: 'ints',
  },
  inputTypes: { w: 'f32', m: 'f32', v: 'f32', levels: 'f32', counts: 'i32', state: 'i32', norm: 'f32' },
  shapes({ w, g, m, v, y, levels, counts, state, norm }, _, { step, k }) {
    checkLists('pdpAdamStep', w, { g, m, v, y });
    if (step.length !== w.length)
      throw shapeError('pdpAdamStep', `${step.length} step numbers`, `${w.length}, one for each tensor`);
    checkStep('pdpAdamStep', { w, levels, counts, state, norm }, k);
    return {};
  },
  reference(inputs, _, attrs, { tau, k, maxNorm, ...numbers }) {
    const { w, m, v } = inputs;
    unfused(inputs, { tau, k, maxNorm }, (g) => adamOp.reference({ w, g, m, v }, {}, attrs, numbers, noRandom));
  },
  cases: [
    {
      name: 'adam with decay',
      inputs: { ...lists(['w', 'g', 'm', 'y'], small), v: positive(small), ...rows(5) },
      attrs: { decoupled: false },
      scalars: { ...usual, step: [1, 2, 3, 4, 1000], k: [10, 600, 1, 0, 0] },
    },
    {
      name: 'adamW, a large layer',
      inputs: { ...lists(['w', 'g', 'm', 'y'], large), v: positive(large), ...rows(2) },
      attrs: { decoupled: true },
      scalars: { ...usual, step: [7, 1], k: [3, 270_000] },
    },
    {
      name: 'special values',
      inputs: { ...special(['w', 'g', 'm', 'v', 'y']), ...rows(2) },
      attrs: { decoupled: true },
      scalars: { ...usual, step: [1, 1], k: [1, 3] },
    },
    {
      name: 'clipped',
      inputs: {
        ...lists(['w', 'g', 'm', 'y'], small),
        v: positive(small),
        ...rows(5),
        norm: { shape: [], values: [Infinity] },
      },
      attrs: { decoupled: true },
      scalars: { ...usual, maxNorm: 1, step: [1, 2, 3, 4, 1000], k: [10, 600, 1, 0, 0] },
    },
    {
      inputs: { ...lists(['w', 'g', 'm', 'v', 'y'], [[3]]), ...rows(1), norm: [2] },
      attrs: { decoupled: true },
      scalars: { ...usual, step: [1], k: [1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'norm of shape [2]' },
    },
    {
      inputs: { ...lists(['w', 'g', 'm', 'v', 'y'], [[3]]), ...rows(1) },
      attrs: { decoupled: true },
      scalars: { ...usual, step: [], k: [1] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'step numbers' },
    },
    {
      name: 'bench',
      inputs: { ...lists(['w', 'g', 'm', 'y'], [[3], [1 << 22]]), v: positive([[3], [1 << 22]]), ...rows(2) },
      attrs: { decoupled: true },
      scalars: { ...usual, tau: 0.1, step: [10, 10], k: [1, 3_774_873] },
      bench: true,
    },
  ],
  cost: ({ w }) => {
    const n = w.reduce((sum, s) => sum + s.reduce((a, b) => a * b, 1), 0);
    return { flops: 52 * n, bytes: 32 * n };
  },
});

/** What a step that contains PDP's mask works on, beside the optimizer's state: an entry each for every weight. */
export interface PdpStepTensors extends Thresholds {
  readonly weights: readonly Tensor[];
  /** Gradients with respect to the effective weights, f32 or bf16. */
  readonly grads: readonly Tensor[];
  /** Effective weights, of the gradients' dtype: overwritten with those of the next step. */
  readonly effective: readonly Tensor[];
  /** Where the last thresholds lay, as for `threshold`: makes the selection faster, changes no result. */
  readonly state?: Tensor | undefined;
}

export interface PdpStepOptions {
  /** How many entries of each weight the next mask prunes. */
  readonly k: readonly number[];
  /** Temperature of the soft mask, above 0. */
  readonly tau: number;
  /** Scales the gradients, after the mask, as `clipGrads_` would. */
  readonly clip?: Clip | undefined;
}

/** The bound that goes with a norm; without one nothing is clipped. */
function boundOf(clip: Clip | undefined): number {
  if (clip === undefined) return Infinity;
  checkMaxNorm('clip', clip.maxNorm);
  return clip.maxNorm;
}

/**
 * One optimizer step of weights under PDP's soft mask, in one pass over them: with the thresholds of this step the
 * gradient of the effective weight goes through the mask (see `pdpWeight`) and is clipped, `sgdStep_` updates the
 * weight, the next thresholds are selected exactly from the new weights (see `threshold`), and the next effective weight is written.
 * Weights, velocities, effective weights and thresholds change in place. On one device equal bit for bit to
 * `pdpWeight`'s gradient, `clipGrads_`, `sgdStep_`, `threshold` and `pdpWeight` one after the other. The norm for `clip`
 * comes from `pdpGradNorm`, since these gradients exist nowhere.
 *
 * @throws ERR_SHAPE_MISMATCH when the lists do not match entry by entry, ERR_ARGUMENT on a count or tau out of range
 */
export function pdpSgdStep_(
  { weights, grads, effective, levels, counts, state }: PdpStepTensors,
  velocities: readonly Tensor[],
  { lr, momentum = 0, weightDecay = 0, nesterov = false, k, tau, clip }: SgdStepOptions & PdpStepOptions,
): void {
  checkTau('pdpSgdStep', tau);
  const inputs = { w: weights, g: grads, v: velocities, y: effective, levels, counts, state, norm: clip?.norm };
  run(pdpSgdStepOp, inputs, { nesterov }, { scalars: { lr, momentum, weightDecay, tau, maxNorm: boundOf(clip), k } });
}

/**
 * The same with `adamStep_`, or AdamW's where it is decoupled.
 *
 * @throws ERR_SHAPE_MISMATCH when the lists do not match entry by entry, ERR_ARGUMENT on a count or tau out of range
 */
export function pdpAdamStep_(
  { weights, grads, effective, levels, counts, state }: PdpStepTensors,
  means: readonly Tensor[],
  squares: readonly Tensor[],
  step: readonly number[],
  options: AdamStepOptions & PdpStepOptions,
): void {
  const { lr, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, decoupled = false, k, tau, clip } = options;
  checkTau('pdpAdamStep', tau);
  const inputs = { w: weights, g: grads, m: means, v: squares, y: effective, levels, counts, state, norm: clip?.norm };
  const scalars = { lr, beta1: betas[0], beta2: betas[1], eps, weightDecay, tau, maxNorm: boundOf(clip), step, k };
  run(pdpAdamStepOp, inputs, { decoupled }, { scalars });
}
