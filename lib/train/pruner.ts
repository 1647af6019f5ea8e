import type { Tensor } from '../core/tensor.js';
import type { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import type { MaskedWeights } from '../optim/masked.js';

/** A weight that may be pruned: its state-dict name, and the layer it belongs to. */
export interface Site {
  readonly name: string;
  readonly weight: Parameter;
  readonly layer: Module;
}

/** Where training stands. All counts start at 0; `step` is the optimizer step about to be taken (or just taken). */
export interface Clock {
  readonly step: number;
  readonly epoch: number;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  readonly phase: string;
  /** Steps since the phase began. */
  readonly phaseStep: number;
}

/** What a method remembers: its entry in a checkpoint. */
export interface State {
  readonly tensors: Map<string, Tensor>;
  /** Anything JSON can hold. */
  json: Record<string, unknown>;
}

/** A tensor the method learns beside the weights, with its own optimizer settings. */
export interface NewParam {
  readonly name: string;
  readonly tensor: Tensor<'f32'>;
  readonly lr?: number;
  readonly weightDecay?: number;
}

/** The optimizer's state of a weight, to clear or to mask. */
export interface Slots {
  /** The state tensors of a parameter (momentum, moments), in the parameter's shape; empty before the first step. */
  of(weight: Tensor): readonly Tensor[];
}

/** One step's input and what its output is compared with. */
export interface Batch {
  readonly input: Tensor;
  readonly target: Tensor;
}

export interface Context {
  readonly model: Module;
  readonly sites: readonly Site[];
  readonly clock: Clock;
  readonly teacher: Module | undefined;
  /** Batches of training data, from the start of the set. */
  batches(): AsyncIterable<Batch>;
  /**
   * Runs the model in eval mode, unrecorded, and gives what was asked for: `capture` lists layer names whose outputs to
   * return; `replace` computes with other weights for the sites named.
   */
  run(
    input: Tensor,
    options?: { capture?: readonly string[]; replace?: ReadonlyMap<string, Tensor> },
  ): { output: Tensor; captured: Map<string, Tensor> };
}

export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly message?: string;
}

/** A stretch of training, or a computation between stretches. Each yield of `solve` is a point to resume from. */
export type Phase =
  | {
      readonly name: string;
      readonly train: { until(clock: Clock): boolean };
      readonly trainable?: (name: string) => boolean;
    }
  | { readonly name: string; solve(context: Context): AsyncGenerator<Progress> };

export interface StepOutput {
  readonly output: Tensor;
  readonly loss: Tensor;
  readonly batch: Batch;
  readonly teacher: Tensor | undefined;
}

/** A factor for each channel of a layer, multiplied in right after the norm, or after its activation. */
export interface Gate {
  readonly values: Tensor;
  readonly place: 'norm' | 'activation';
}

/** Zeros to keep: the weight (and, with `slots`, its optimizer state) is multiplied by the mask after every step. */
export interface Projection {
  readonly mask: Tensor;
  readonly slots: boolean;
}

/**
 * A soft mask that the optimizer's step can take in: gradient through the mask, update, next thresholds and next
 * effective weights in one pass over the weights. While it is on, the parameters have no gradient of their own.
 */
export interface MaskFold {
  /** Set by the trainer, which gives its reason where it leaves it off. */
  on: boolean;
  /** Why the method as it is set cannot have it; undefined: it can. */
  readonly refusal: string | undefined;
  /** What the step about to be taken works on; undefined: nothing is masked now. */
  masked(context: Context): MaskedWeights | undefined;
}

/** Moments at which a method may act. `stepped`: after the update, gradients still alive. */
export type PrunerEvent = 'phase' | 'epoch' | 'step' | 'stepped';

/**
 * A pruning method. Every hook is optional, and absent means identity. The trainer calls them; a method sees layers
 * only as sites.
 */
export interface Pruner {
  readonly name: string;
  /** All the method may remember from step to step. */
  readonly state: State;
  /** Learned scores, thresholds, logits. Called once, when the method meets the model. */
  params?(sites: readonly Site[]): NewParam[];
  /** The course of training. Default: one phase over all steps. */
  phases?(context: Context): Phase[];
  on?(event: PrunerEvent, context: Context, slots: Slots): void | Promise<void>;
  /** The weight to compute with, differentiable. Called once for each site and optimizer step, however often it is used. */
  weight?(site: Site, w: Tensor): Tensor;
  readonly fold?: MaskFold;
  gate?(site: Site): Gate | undefined;
  /** A term to add to the loss: a penalty, a distance to the teacher. */
  loss?(step: StepOutput): Tensor | undefined;
  project?(site: Site): Projection | undefined;
  /** The learning rate of a parameter group at this step, given the schedule it would have had. */
  rate?(clock: Clock, group: number, base: (step: number) => number): number;
  /** The final weight of a site. Absent or undefined: the weight as it stands. */
  finish?(site: Site): Tensor | undefined;
  /** The sparsity the method aims at now over all sites, and at the end, for the progress bar and the report. */
  sparsity?(clock: Clock): { now: number; target: number };
}
