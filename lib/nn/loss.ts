// Losses as modules: the functions of lib/ops with their options set once.
import { Module } from './module.js';
import type { Tensor } from '../core/tensor.js';
import { type CrossEntropyOptions, crossEntropy } from '../ops/crossEntropy.js';
import { mseLoss } from '../ops/mseLoss.js';

/** Softmax cross-entropy of logits `[rows, classes]` and class indices `[rows]`. */
export class CrossEntropyLoss extends Module {
  readonly options: CrossEntropyOptions;
  constructor(options: CrossEntropyOptions = {}) {
    super();
    this.options = options;
  }
  override forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropy(logits, target, this.options);
  }
}

/** Mean of squared differences. */
export class MSELoss extends Module {
  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target);
  }
}
