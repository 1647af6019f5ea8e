// Layers without parameters, and the containers.
import { SecateurError, checkOptions } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { adaptiveAvgPool2d, avgPool2d, type AvgPool2dOptions } from '../ops/avgPool.js';
import { dropout } from '../ops/dropout.js';
import { embedding } from '../ops/indexSelect.js';
import { gelu } from '../ops/gelu.js';
import { maxPool2d } from '../ops/maxPool.js';
import type { PoolOptions } from '../ops/window.js';
import { permute } from '../ops/permute.js';
import { relu } from '../ops/relu.js';
import { reshape } from '../ops/reshape.js';
import type { Pair } from './conv.js';
import { normal } from './init.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

/** `max(x, 0)`. */
export class ReLU extends Module {
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/** `x Phi(x)`, exact, or with `approximate: 'tanh'` by Hendrycks and Gimpel's formula. */
export class GELU extends Module {
  readonly approximate: 'none' | 'tanh';
  constructor(options: { approximate?: 'none' | 'tanh' } = {}) {
    super();
    checkOptions('GELU', options, ['approximate']);
    this.approximate = options.approximate ?? 'none';
  }
  override forward(x: Tensor): Tensor {
    return gelu(x, { approximate: this.approximate });
  }
  override describe(): string {
    return this.approximate;
  }
}

/** Zeroes each element with probability `p` while training and scales the rest by `1 / (1 - p)`. */
export class Dropout extends Module {
  readonly p: number;
  constructor(p = 0.5) {
    super();
    if (!(p >= 0 && p < 1)) throw new SecateurError('ERR_ARGUMENT', `Dropout: p is ${p}; needs 0 <= p < 1.`);
    this.p = p;
  }
  override forward(x: Tensor): Tensor {
    return dropout(x, this.p, { training: this.training });
  }
  override describe(): string {
    return `p: ${this.p}`;
  }
}

/** Looks up rows of a table: whole numbers `[...]` to vectors `[..., embeddingDim]`. */
export class Embedding extends Module {
  readonly weight: Parameter;
  constructor(numEmbeddings: number, embeddingDim: number) {
    super();
    this.weight = new Parameter(normal([numEmbeddings, embeddingDim], 1));
  }
  override forward(ids: Tensor): Tensor {
    return embedding(this.weight.effective(), ids);
  }
  override describe(): string {
    return this.weight.shape.join(', ');
  }
}

/** Largest value of each window of `[N, H, W, C]`. */
export class MaxPool2d extends Module {
  readonly kernelSize: Pair;
  readonly options: PoolOptions;
  constructor(kernelSize: Pair, options: PoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }
  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }
  override describe(): string {
    return `${String(this.kernelSize)}, ${JSON.stringify(this.options)}`;
  }
}

/** Mean of each window of `[N, H, W, C]`. */
export class AvgPool2d extends Module {
  readonly kernelSize: Pair;
  readonly options: AvgPool2dOptions;
  constructor(kernelSize: Pair, options: AvgPool2dOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }
  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
  override describe(): string {
    return `${String(this.kernelSize)}, ${JSON.stringify(this.options)}`;
  }
}

/** Means over a grid of `outputSize` windows that cover the image. */
export class AdaptiveAvgPool2d extends Module {
  readonly outputSize: Pair;
  constructor(outputSize: Pair) {
    super();
    this.outputSize = outputSize;
  }
  override forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
  override describe(): string {
    return String(this.outputSize);
  }
}

/**
 * All axes but the first in one. Images `[N, H, W, C]` are flattened in the order C, H, W, so that the weights of a
 * Linear that follows are PyTorch's.
 */
export class Flatten extends Module {
  override forward(x: Tensor): Tensor {
    const [n] = x.shape;
    const ordered = x.rank === 4 && (x.shape[1] as number) * (x.shape[2] as number) > 1 ? permute(x, [0, 3, 1, 2]) : x;
    return reshape(ordered, [n as number, -1]);
  }
}

/** Modules applied one after the other; their keys are their numbers, as in PyTorch. ERR_ARGUMENT for what is no module. */
export class Sequential extends Module {
  readonly layers: readonly Module[];
  constructor(...layers: Module[]) {
    super();
    const wrong = layers.findIndex((layer) => !(layer instanceof Module));
    if (wrong >= 0)
      throw new SecateurError(
        'ERR_ARGUMENT',
        `Sequential: layer ${wrong} is not a module. Give the modules one by one, as in new Sequential(new Flatten(), new Linear(784, 10)).`,
      );
    this.layers = layers;
  }
  override children(): readonly [string, Module][] {
    return this.layers.map((layer, i) => [String(i), layer]);
  }
  override forward(x: Tensor): Tensor {
    return this.layers.reduce((y, layer) => layer.forward(y), x);
  }
}
