import { checkOptions } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { batchNorm, batchNormRelu } from '../ops/batchNorm.js';
import { mul } from '../ops/binary.js';
import { ones, zeros } from '../ops/creation.js';
import { layerNorm } from '../ops/layerNorm.js';
import { Module } from './module.js';
import { Buffer, Parameter } from './parameter.js';

/** A factor a channel, from a pruner: right after the norm, or after the activation that follows it. */
export interface NormGate {
  readonly values: Tensor;
  readonly place: 'norm' | 'activation';
}

export interface BatchNorm2dOptions {
  eps?: number;
  /** Weight of the new batch in the running statistics. */
  momentum?: number;
}

/**
 * Batch normalisation over all axes but the last (Ioffe and Szegedy 2015), in PyTorch's convention: the batch's biased
 * variance normalises, the unbiased one enters the running statistics. `[N, H, W, numFeatures]` in and out.
 */
export class BatchNorm2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly runningMean: Buffer;
  readonly runningVar: Buffer;
  readonly eps: number;
  readonly momentum: number;
  /** Set by a channel pruner. */
  gate: (() => NormGate | undefined) | undefined = undefined;

  constructor(numFeatures: number, options: BatchNorm2dOptions = {}) {
    super();
    checkOptions('BatchNorm2d', options, ['eps', 'momentum']);
    this.eps = options.eps ?? 1e-5;
    this.momentum = options.momentum ?? 0.1;
    this.weight = new Parameter(ones([numFeatures]));
    this.bias = new Parameter(zeros([numFeatures]));
    this.runningMean = new Buffer(zeros([numFeatures]));
    this.runningVar = new Buffer(ones([numFeatures]));
  }

  override forward(x: Tensor): Tensor {
    const { weight, bias, after } = this.#gated();
    const { training, momentum, eps } = this;
    return after(batchNorm(x, weight, bias, this.runningMean, this.runningVar, { training, momentum, eps }));
  }

  /** `relu(norm(x) + add)`: one pass over memory instead of three. */
  forwardRelu(x: Tensor, add?: Tensor): Tensor {
    const { weight, bias, after } = this.#gated();
    const { training, momentum, eps } = this;
    return after(batchNormRelu(x, weight, bias, this.runningMean, this.runningVar, { training, momentum, eps, add }));
  }

  #gated(): { weight: Tensor; bias: Tensor; after: (y: Tensor) => Tensor } {
    const gate = this.gate?.();
    const weight = this.weight.effective();
    const bias = this.bias.effective();
    if (gate === undefined) return { weight, bias, after: (y) => y };
    if (gate.place === 'activation') return { weight, bias, after: (y) => mul(y, gate.values) };
    // A factor after the norm is the same factor on its scale and its shift.
    return { weight: mul(weight, gate.values), bias: mul(bias, gate.values), after: (y) => y };
  }

  /** PyTorch counts the batches; nothing is computed from the count. */
  override ignoredKeys(): readonly string[] {
    return ['num_batches_tracked'];
  }

  override describe(): string {
    return `${this.weight.size}, eps: ${this.eps}, momentum: ${this.momentum}`;
  }
}

/** Normalises over the last axis (Ba et al. 2016): `(x - mean) / sqrt(var + eps) * weight + bias`, biased variance. */
export class LayerNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly eps: number;

  constructor(normalizedShape: number, options: { eps?: number } = {}) {
    super();
    checkOptions('LayerNorm', options, ['eps']);
    this.eps = options.eps ?? 1e-5;
    this.weight = new Parameter(ones([normalizedShape]));
    this.bias = new Parameter(zeros([normalizedShape]));
  }

  override forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight.effective(), this.bias.effective(), { eps: this.eps });
  }

  override describe(): string {
    return `${this.weight.size}, eps: ${this.eps}`;
  }
}
