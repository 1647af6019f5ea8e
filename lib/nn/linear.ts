import { checkOptions } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { linear } from '../ops/matmul.js';
import { kaimingUniform, uniform } from './init.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** `y = x W^T + b` over the last axis: `[..., inFeatures]` to `[..., outFeatures]`. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly inFeatures: number;
  readonly outFeatures: number;

  constructor(inFeatures: number, outFeatures: number, options: { bias?: boolean } = {}) {
    super();
    checkOptions('Linear', options, ['bias']);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = new Parameter(kaimingUniform([outFeatures, inFeatures]));
    this.bias = options.bias === false ? undefined : new Parameter(uniform([outFeatures], 1 / Math.sqrt(inFeatures)));
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight.effective(), this.bias);
  }

  override describe(): string {
    return `${this.inFeatures}, ${this.outFeatures}${this.bias === undefined ? ', bias: false' : ''}`;
  }
}
