// PDP: parameter-free differentiable pruning is all you need.
// Minsik Cho, Saurabh Adya, Devang Naik. NeurIPS 2023.
//
//   paper        here
//   w            the weight of a site
//   r            sparsity: the fraction removed
//   t            threshold row: halfway between the largest pruned and the smallest kept magnitude
//   tau          temperature of the soft mask
//   m(w), z(w)   soft mask: the probabilities of being kept and of being pruned, softmax([w^2, t^2] / tau)
//   s            warmup: training without a mask
//   epsilon      epsilon: how fast the sparsity rises, linearly
//
// Nothing is learned beside the weights, nothing but the layers' ratios is remembered: the mask is a function of the
// weights, recomputed at every step. What the paper's available text leaves open (whether the gradient passes through
// t, whether the ramp starts at epsilon or at zero, the temperature for a task) is an option here.
import { SecateurError, checkOptions } from '../../../lib/core/errors.js';
import { isAutocast } from '../../../lib/autograd/autocast.js';
import { noGrad } from '../../../lib/autograd/tape.js';
import { keep, scope } from '../../../lib/core/lifetime.js';
import type { Tensor } from '../../../lib/core/tensor.js';
import { applyHardMask, hardMask } from '../../../lib/ops/hardMask.js';
import { pdpWeight } from '../../../lib/ops/pdpWeight.js';
import type { Clock, Context, Phase, Pruner, PrunerEvent, Projection, Site, State } from '../../../lib/train/pruner.js';
import { checkReachable, erkBudget, globalMagnitude, tableBudget, uniformBudget } from '../budget.js';
import { PdpFold } from '../pdpFold.js';
import { checkSparsity, count, linearRamp } from '../schedule.js';
import { Thresholds, isWholes } from '../thresholds.js';

export interface PdpOptions {
  /** Fraction of all prunable weights to remove, 0 <= sparsity < 1. */
  sparsity: number;
  /** Temperature of the soft mask; small is sharp (default 1e-4). */
  tau?: number;
  /** What `warmup`, `epsilon` and `finetune` count: optimizer steps or epochs (default step). */
  unit?: 'step' | 'epoch';
  /** Dense training before pruning (default: a sixth of the run). */
  warmup?: number;
  /** Fraction of the target added each unit (default: reach the target after two thirds of what follows the warm-up). */
  epsilon?: number;
  /** Whether the ramp's first unit already prunes epsilon (1, default) or nothing (0). */
  first?: 0 | 1;
  /** Units at the end with the mask fixed and hard (default 0). */
  finetune?: number;
  /** How the target is shared among layers; a table gives each layer's sparsity by name (default globalMagnitude). */
  allocation?: 'globalMagnitude' | 'uniform' | 'erk' | Readonly<Record<string, number>>;
  /** No layer loses more than this fraction under globalMagnitude, and never all of its weights (default 1). */
  maxLayerSparsity?: number;
  /** Let the gradient pass through the threshold as well (default false). */
  throughThreshold?: boolean;
  /** Recompute thresholds every so many steps (default 1). */
  recomputeEvery?: number;
}

const optionNames = [
  'sparsity',
  'tau',
  'unit',
  'warmup',
  'epsilon',
  'first',
  'finetune',
  'allocation',
  'maxLayerSparsity',
  'throughThreshold',
  'recomputeEvery',
] as const;

const allocations = ['globalMagnitude', 'uniform', 'erk'];

/** The clock one step on, as long as the phase lasts. */
function following({ step, stepsPerEpoch, totalSteps, phase, phaseStep }: Clock): Clock {
  const epoch = Math.floor((step + 1) / stepsPerEpoch);
  return { step: step + 1, epoch, stepsPerEpoch, totalSteps, phase, phaseStep: phaseStep + 1 };
}

/** Unstructured PDP: a soft magnitude mask in every forward pass, exact zeros at the end. */
export class PDP implements Pruner {
  readonly name = 'pdp';
  readonly state: State;
  readonly options: PdpOptions;
  readonly fold: PdpFold;
  #json: Record<string, unknown> = {};
  #thresholds: Thresholds | undefined;
  readonly #index = new Map<Site, number>();
  #masks: Tensor[] = [];
  // Whether the thresholds are those of the final counts, from the final weights.
  #final = false;

  /** @throws ERR_ARGUMENT for values out of range, ERR_OPTION for unknown options */
  constructor(options: PdpOptions) {
    checkOptions('PDP', options, optionNames);
    checkSparsity('PDP', options.sparsity);
    const positive = (name: 'tau' | 'epsilon' | 'recomputeEvery', value: number | undefined): void => {
      if (value !== undefined && !(value > 0 && value < Infinity))
        throw new SecateurError('ERR_ARGUMENT', `PDP: ${name} is ${value}; needs a number above 0.`, { [name]: value });
    };
    positive('tau', options.tau);
    positive('epsilon', options.epsilon);
    positive('recomputeEvery', options.recomputeEvery);
    for (const name of ['warmup', 'finetune'] as const) {
      const value = options[name];
      if (value !== undefined && !(value >= 0))
        throw new SecateurError('ERR_ARGUMENT', `PDP: ${name} is ${value}; needs 0 or more.`, { [name]: value });
    }
    const { allocation } = options;
    if (typeof allocation === 'string' && !allocations.includes(allocation))
      throw new SecateurError(
        'ERR_ARGUMENT',
        `PDP: allocation is '${allocation as string}'; needs one of ${allocations.join(', ')}, or a table of each layer's sparsity.`,
        { allocation },
      );
    this.options = options;
    this.state = this.#stateToSave();
    this.fold = new PdpFold({
      tau: options.tau ?? 1e-4,
      refusal: this.#foldRefusal(),
      next: ({ sites, clock }) => (clock.phase === 'prune' ? this.#countsAt(sites, following(clock)) : undefined),
    });
  }

  /** Thresholds that stand for several steps are read when they are asked for. */
  #stateToSave(): State {
    const stand = (this.options.recomputeEvery ?? 1) !== 1;
    const json = (): Record<string, unknown> =>
      stand && this.#thresholds?.ready === true ? { ...this.#json, thresholds: this.#thresholds.saved() } : this.#json;
    const take = (value: Record<string, unknown>): void => void (this.#json = value);
    return {
      tensors: new Map(),
      get json() {
        return json();
      },
      set json(value) {
        take(value);
      },
    };
  }

  #foldRefusal(): string | undefined {
    const { throughThreshold = false, recomputeEvery = 1 } = this.options;
    if (throughThreshold) return 'the gradient passes through the threshold too (throughThreshold)';
    if (recomputeEvery !== 1) return `thresholds stand for ${recomputeEvery} steps (recomputeEvery)`;
    return undefined;
  }

  /** The plan for a run of this length: its warm-up, its ramp, its end, in the unit chosen. */
  plan(clock: Clock): { at: number; warmup: number; epsilon: number; first: 0 | 1; finetuneFrom: number } {
    const byEpoch = this.options.unit === 'epoch';
    const length = byEpoch ? Math.ceil(clock.totalSteps / clock.stepsPerEpoch) : clock.totalSteps;
    const finetuneFrom = length - (this.options.finetune ?? 0);
    const warmup = this.options.warmup ?? Math.floor(length / 6);
    const ramp = Math.max(1, Math.floor(((finetuneFrom - warmup) * 2) / 3));
    return {
      at: byEpoch ? clock.epoch : clock.step,
      warmup,
      epsilon: this.options.epsilon ?? 1 / ramp,
      first: this.options.first ?? 1,
      finetuneFrom,
    };
  }

  /**
   * Whether layers of these sizes can be pruned to the target in a run of so many steps.
   *
   * @throws ERR_ARGUMENT when they cannot
   */
  check(sizes: readonly number[], stepsPerEpoch: number, totalSteps: number): void {
    const { sparsity, allocation = 'globalMagnitude', maxLayerSparsity } = this.options;
    // A table has targets of its own, and the cap is for the ranking of all weights.
    if (typeof allocation === 'string')
      checkReachable(sizes, sparsity, allocation === 'globalMagnitude' ? maxLayerSparsity : undefined);
    const clock = { step: 0, epoch: 0, stepsPerEpoch, totalSteps, phase: '', phaseStep: 0 };
    const { warmup, epsilon, first, finetuneFrom } = this.plan(clock);
    const reached = Math.min(1, epsilon * (finetuneFrom - 1 - warmup + first));
    if (sparsity > 0 && reached < 1) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `PDP: with warmup ${warmup} and epsilon ${epsilon} the ramp gets to ${(Math.max(0, reached) * 100).toFixed(1)} % of the target before the fine-tune or the end. Train longer, shorten the warm-up or the fine-tune, or raise epsilon.`,
        { warmup, epsilon, reached },
      );
    }
  }

  phases({ sites, clock }: Context): Phase[] {
    const sizes = sites.map((site) => site.weight.size);
    this.check(sizes, clock.stepsPerEpoch, clock.totalSteps);
    const { warmup, finetuneFrom } = this.plan(clock);
    const before = (limit: number) => ({ until: (clock: Clock) => this.plan(clock).at >= limit });
    return [
      { name: 'warmup', train: before(warmup) },
      { name: 'prune', train: before(finetuneFrom) },
      ...((this.options.finetune ?? 0) > 0 ? [{ name: 'finetune', train: { until: () => false } }] : []),
    ];
  }

  on(event: PrunerEvent, context: Context): void {
    if (event === 'phase') this.#startPhase(context);
    else if (event === 'step' && context.clock.phase === 'prune') this.#updateThresholds(context);
  }

  #startPhase({ sites, clock }: Context): void {
    sites.forEach((site, i) => this.#index.set(site, i));
    if (this.#thresholds === undefined) {
      const weights = sites.map((s) => s.weight);
      this.#thresholds = new Thresholds(weights);
      this.fold.bind(weights, this.#thresholds);
      const { pruned, thresholds: kept } = this.#json;
      if (pruned !== undefined && !isWholes(pruned, sites.length))
        throw new SecateurError(
          'ERR_CHECKPOINT',
          `PDP: the saved counts of pruned weights are damaged: needs whole numbers for ${sites.length} layers.`,
        );
      if (kept !== undefined && clock.phase === 'prune') this.#thresholds.restore(kept);
    }
    if (clock.phase === 'prune' && this.#json['pruned'] === undefined) this.#json['pruned'] = this.#allocate(sites);
    if (clock.phase === 'finetune') this.#fixMasks(sites);
  }

  /** Final counts of pruned weights by layer, from the weights at the end of the warm-up. */
  #allocate(sites: readonly Site[]): number[] {
    const { sparsity, maxLayerSparsity, allocation = 'globalMagnitude' } = this.options;
    const layers = sites.map(({ name, weight }) => ({ name, shape: weight.shape, size: weight.size }));
    if (allocation === 'globalMagnitude')
      return globalMagnitude(
        sites.map((s) => s.weight.doubles()),
        sparsity,
        maxLayerSparsity,
      );
    if (allocation === 'uniform') return uniformBudget(layers, sparsity);
    if (allocation === 'erk') return erkBudget(layers, sparsity);
    return tableBudget(layers, allocation);
  }

  #finalCounts(): readonly number[] {
    return this.#json['pruned'] as readonly number[];
  }

  /** The layers' ratios at this moment: each rises to its own target. */
  ratios(sites: readonly Site[], clock: Clock): number[] {
    const plan = this.plan(clock);
    const ramp = linearRamp(plan.at, plan);
    return sites.map((site, i) => (ramp * (this.#finalCounts()[i] as number)) / site.weight.size);
  }

  #updateThresholds({ sites, clock }: Context): void {
    const every = this.options.recomputeEvery ?? 1;
    if (clock.phaseStep % every !== 0 && this.#thresholds?.ready === true) return;
    const counts = this.#countsAt(sites, clock);
    if (this.fold.on && this.fold.holds(counts)) return;
    this.fold.forget();
    this.#thresholds?.update(counts);
  }

  #countsAt(sites: readonly Site[], clock: Clock): number[] {
    const ratios = this.ratios(sites, clock);
    return sites.map(({ weight }, i) => count(ratios[i] as number, weight.size));
  }

  /** `w_hat = m(w) w` while pruning, `w` before, the masked `w` in the fine-tune. */
  weight(site: Site, w: Tensor): Tensor {
    const i = this.#index.get(site);
    if (i === undefined) return w;
    const mask = this.#masks[i];
    if (mask !== undefined) return w.mul(mask);
    const thresholds = this.#thresholds;
    if (thresholds?.ready !== true) return w;
    const { tau = 1e-4, throughThreshold = false } = this.options;
    // Under autocast the mask writes bf16 itself, in place of the cast that would follow.
    const dtype = isAutocast() ? 'bf16' : 'f32';
    return this.fold.effective(i, dtype) ?? pdpWeight(w, thresholds.row(i), { tau, throughThreshold, dtype });
  }

  #fixMasks(sites: readonly Site[]): void {
    this.fold.forget();
    this.#thresholds?.update(this.#finalCounts());
    this.#masks = noGrad(() => scope(() => sites.map((site, i) => keep(hardMask(site.weight, this.#row(i))))));
  }

  #row(i: number): ReturnType<Thresholds['row']> {
    return (this.#thresholds as Thresholds).row(i);
  }

  project(site: Site): Projection | undefined {
    const mask = this.#masks[this.#index.get(site) ?? -1];
    return mask === undefined ? undefined : { mask, slots: true };
  }

  /** The `n - k` largest magnitudes of each layer, the others exactly zero. */
  finish(site: Site): Tensor | undefined {
    const i = this.#index.get(site);
    if (i === undefined || this.#json['pruned'] === undefined) return undefined;
    const mask = this.#masks[i];
    if (mask !== undefined) return site.weight.mul(mask);
    if (!this.#final) {
      this.fold.forget();
      this.#thresholds?.update(this.#finalCounts());
      this.#final = true;
    }
    return applyHardMask(site.weight, this.#row(i));
  }

  /** The magnitude at which a weight is as likely kept as pruned, as last computed; null before pruning. */
  threshold(name: string): number | null {
    for (const [site, i] of this.#index)
      if (site.name === name && this.#thresholds?.ready === true) return this.#thresholds.value(i);
    return null;
  }

  sparsity(clock: Clock): { now: number; target: number } {
    const target = this.options.sparsity;
    if (clock.phase === 'warmup') return { now: 0, target };
    const plan = this.plan(clock);
    return { now: target * linearRamp(plan.at, plan), target };
  }
}
