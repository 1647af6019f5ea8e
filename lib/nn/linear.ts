import { SecateurError, checkOptions } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { linearGelu, linearRelu } from '../ops/linearActivation.js';
import { linear } from '../ops/matmul.js';
import { kaimingUniform, uniform } from './init.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

const activations = ['none', 'relu', 'gelu', 'geluTanh'] as const;

export interface LinearOptions {
  /** Whether there is a bias (default true). */
  bias?: boolean;
  /** What follows, computed in the same pass (default 'none'): gelu by the error function, or by tanh. */
  activation?: (typeof activations)[number];
}

/** `y = activation(x W^T + b)` over the last axis: `[..., inFeatures]` to `[..., outFeatures]`. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly activation: (typeof activations)[number];

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    checkOptions('Linear', options, ['bias', 'activation']);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.activation = options.activation ?? 'none';
    if (!activations.includes(this.activation)) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `Linear: activation is ${String(this.activation)}; use one of ${activations.join(', ')}.`,
        { activation: this.activation },
      );
    }
    this.weight = new Parameter(kaimingUniform([outFeatures, inFeatures]));
    this.bias = options.bias === false ? undefined : new Parameter(uniform([outFeatures], 1 / Math.sqrt(inFeatures)));
  }

  override forward(x: Tensor): Tensor {
    const weight = this.weight.effective();
    if (this.activation === 'none') return linear(x, weight, this.bias);
    if (this.activation === 'relu') return linearRelu(x, weight, this.bias);
    return linearGelu(x, weight, this.bias, { approximate: this.activation === 'gelu' ? 'none' : 'tanh' });
  }

  override describe(): string {
    const bias = this.bias === undefined ? ', bias: false' : '';
    const activation = this.activation === 'none' ? '' : `, activation: ${this.activation}`;
    return `${this.inFeatures}, ${this.outFeatures}${bias}${activation}`;
  }
}
